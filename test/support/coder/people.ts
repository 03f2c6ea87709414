import { randomUUID } from 'node:crypto';

/** Who and what there is in every scripted Coder. */

export interface Person {
  readonly id: string;
  readonly username: string;
}

export const ORGANIZATION = { id: '0a000000-0000-4000-8000-000000000001', name: 'acme' };
export const OTHER_ORGANIZATION = { id: '0a000000-0000-4000-8000-000000000002', name: 'other' };
export const OPERATOR: Person = { id: '0b000000-0000-4000-8000-000000000001', username: 'coder-operator' };
export const OWNER: Person = { id: '0b000000-0000-4000-8000-000000000002', username: 'ann' };
export const STRANGER: Person = { id: '0b000000-0000-4000-8000-000000000003', username: 'bob' };
/** Owns the workspaces that Coder makes in advance; this id is the same in every Coder. */
export const PREBUILDS: Person = { id: 'c42fdf75-3097-471c-8c33-fb52454d81c0', username: 'prebuilds' };
export const DEPLOYMENT = '0d000000-0000-4000-8000-000000000001';

export const ORGANIZATIONS = [ORGANIZATION, OTHER_ORGANIZATION];

/** Names of people, workspaces, templates and organizations are the same in upper and lower case. */
export function isSameName(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

export function isUUID(text: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);
}

/** Who there is in one scripted Coder. */
export class People {
  #all: readonly Person[] = [OPERATOR, OWNER, STRANGER, PREBUILDS];

  /** By id or by name. */
  called(name: string): Person | undefined {
    return this.#all.find((p) => p.id === name || isSameName(p.username, name));
  }

  /** The person with this name, who comes to Coder if nobody has it. */
  ensure(username: string): Person {
    const present = this.called(username);
    if (present !== undefined) return present;
    const person = { id: randomUUID(), username };
    this.#all = [...this.#all, person];
    return person;
  }

  set(person: Person): void {
    this.#all = this.#all.map((p) => (p.id === person.id ? person : p));
  }
}
