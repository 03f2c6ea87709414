import { findCondition, type Condition } from '../../api/conditions.ts';
import type { KubeObject } from '../../api/meta.ts';
import { millisOf } from './times.ts';
import type { Cell, Column, ViewKind } from './types.ts';

/** A column together with what it shows of an object. */
export interface ShownColumn<T> {
  readonly name: string;
  /** Default string. */
  readonly type?: Column['type'];
  readonly description: string;
  /** Shown with `-o wide` only. */
  readonly isWide?: true;
  cell(object: T): Cell;
}

/**
 * The table of a kind: a column for the name first, by which kubectl finds the object; one for the age before those that
 * are shown with `-o wide` only.
 */
export function tableOf<T extends KubeObject>(
  shown: readonly ShownColumn<T>[],
): Pick<ViewKind<T>, 'columns' | 'cells'> {
  const narrow = shown.filter(({ isWide }) => isWide !== true);
  const wide = shown.filter(({ isWide }) => isWide === true);
  const all: readonly ShownColumn<T>[] = [nameColumn, ...narrow, ageColumn, ...wide];
  return {
    columns: all.map((column) => ({
      name: column.name,
      type: column.type ?? 'string',
      format: column === nameColumn ? 'name' : '',
      description: column.description,
      priority: column.isWide === true ? 1 : 0,
    })),
    cells: (object) => all.map((column) => column.cell(object)),
  };
}

const nameColumn: ShownColumn<KubeObject> = {
  name: 'Name',
  description: 'Name of the object, the same in both groups',
  cell: ({ metadata }) => metadata.name,
};

const ageColumn: ShownColumn<KubeObject> = {
  name: 'Age',
  type: 'date',
  description: 'Since when the object exists in Kubernetes',
  cell: ({ metadata }) => since(metadata.creationTimestamp) ?? '<unknown>',
};

/** How long ago something happened, told at the moment of the answer; null where it never did. */
export function since(time: string | undefined): Cell {
  const ms = millisOf(time);
  return ms === undefined ? null : { since: ms };
}

/** A text in one line, since kubectl cuts a cell at its first newline; null where there is none. */
export function line(text: string | undefined): Cell {
  // Newlines of every kind: those of ASCII and Latin-1, and Unicode's own.
  const clean = (text ?? '').replace(/[\p{Cc}\u2028\u2029]+/gu, ' ').trim();
  return clean === '' ? null : clean;
}

interface WithConditions extends KubeObject {
  readonly status?: { readonly conditions?: readonly Condition[] | undefined };
}

/** Whether the wish is reached, and why it is not or in what way: what `-o wide` tells of every kind. */
export const readyColumns: readonly ShownColumn<WithConditions>[] = [
  {
    name: 'Ready',
    description: 'Whether the wish of the object of coder.com is reached',
    isWide: true,
    cell: (object) => line(readyOf(object)?.status),
  },
  {
    name: 'Reason',
    description: 'Why, in one word',
    isWide: true,
    cell: (object) => line(readyOf(object)?.reason),
  },
];

/** The condition Ready. */
export function readyOf({ status }: WithConditions): Condition | undefined {
  return findCondition(status?.conditions, 'Ready');
}
