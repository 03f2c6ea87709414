import { templates, workspaces, type CoderTemplate, type CoderWorkspace } from '../../api/kinds.ts';
import type { ResourceType } from '../../api/meta.ts';
import { InvalidNameError, parseTemplateName, parseWorkspaceName } from '../../api/names.ts';
import { isForbidden, isGone, isNotFound } from '../../coder/errors.ts';
import type { Store } from '../../kube/store.ts';
import { outsideOf, type ScopedName } from '../beginning.ts';
import { scopeMatcher } from '../scope.ts';
import type { LiveConnection } from '../connections.ts';
import type { Scope } from '../facts.ts';
import type { Observer } from '../observer/observer.ts';
import { objectNameOf, type WorkspaceRecord } from '../observer/record.ts';
import type { Rest } from '../step.ts';
import type { TemplateRecord } from '../template/input.ts';
import { templateNameOf, templateRecordOf } from '../template/records.ts';
import type { Absence } from './absences.ts';
import type { Thing } from './decide.ts';
import { labelsOf } from './labels.ts';

export type MirroredObject = CoderTemplate | CoderWorkspace;

/** The binding that a mirror is given, before its status says it. */
export interface Binding {
  readonly id: string;
  readonly deploymentID: string;
  readonly origin: 'Mirrored';
}

/** What mirrors of one kind differ in from those of the other. */
export interface MirrorKind {
  readonly resource: ResourceType;
  /** Its field in `spec.mirror` of the control plane. */
  readonly setting: 'workspaces' | 'templates';
  readonly store: Pick<Store<MirroredObject>, 'get' | 'byIndex'>;
  /** Whether all of this kind was looked at once: before, what is not known may well be there. */
  hasLooked(observer: Observer): boolean;
  /** All that is known of this kind, and whether the scope lets it be shown. */
  all(observer: Observer, scope: Scope): Iterable<Pick<Thing, 'id' | 'name' | 'isForeign'>>;
  thing(observer: Observer, scope: Scope, id: string): Thing | undefined;
  named(observer: Observer, scope: Scope, name: string): Thing | undefined;
  isKnown(observer: Observer, id: string): boolean;
  /** Whether it is gone for certain, as was just found out. */
  isGone(observer: Observer, id: string): boolean;
  labels(observer: Observer, id: string): Readonly<Record<string, string>> | undefined;
  isOutside(scope: Scope, name: string): boolean;
  /** Whether a thing that is not listed is gone. @throws CoderError */
  check(live: LiveConnection, id: string, askedAt: number, signal: AbortSignal): Promise<Absence>;
  /** The ordinary pass of an object, which has nothing to do but to write its status. */
  show(object: MirroredObject, isUnseen: boolean): Promise<Rest | undefined>;
}

/** @param isUnseen Coder does not show it, and whether it is gone is not known: nobody need ask again. */
export type Show<T> = (object: T, isUnseen: boolean) => Promise<Rest | undefined>;

export function workspaceMirrors(store: Store<CoderWorkspace>, show: Show<CoderWorkspace>): MirrorKind {
  const thingOf = (record: WorkspaceRecord, scope: Scope): Thing => {
    const names = { organization: record.organizationName, owner: record.ownerName };
    const name = objectNameOf(record);
    return thing(record.id, name, record.isPrebuild || isForeign(scope, names), parseWorkspaceName);
  };
  return {
    resource: workspaces,
    setting: 'workspaces',
    store,
    hasLooked: (observer) => observer.hasLooked,
    *all(observer, scope) {
      const isIn = scopeMatcher(scope);
      for (const record of observer.workspaces.records()) {
        yield { id: record.id, name: objectNameOf(record), isForeign: record.isPrebuild || !isIn(record) };
      }
    },
    thing: (observer, scope, id) => mapped(observer.workspaces.get(id), (r) => thingOf(r, scope)),
    named: (observer, scope, name) => mapped(observer.workspaces.named(name), (r) => thingOf(r, scope)),
    isKnown: (observer, id) => observer.workspaces.get(id) !== undefined,
    isGone: (observer, id) => observer.workspaces.isBuried(id),
    labels: (observer, id) =>
      mapped(observer.workspaces.get(id), (record) =>
        labelsOf({
          organization: record.organizationName,
          owner: record.ownerName,
          template: record.templateName,
        }),
      ),
    isOutside: (scope, name) => outside(scope, name, parseWorkspaceName),
    check: async ({ client, observer }, id, askedAt, signal) => {
      try {
        observer.learn(await client.workspace(id, { signal, counted: false }), askedAt);
        return 'found';
      } catch (error) {
        // Coder forbids a workspace whose template is not shown to us.
        if (isNotFound(error) || isForbidden(error)) return 'unseen';
        if (!isGone(error)) throw error;
        observer.provenGone(id);
        return 'gone';
      }
    },
    show: (object, isUnseen) => show(object as CoderWorkspace, isUnseen),
  };
}

export function templateMirrors(store: Store<CoderTemplate>, show: Show<CoderTemplate>): MirrorKind {
  const thingOf = (record: TemplateRecord, scope: Scope): Thing => {
    const names = { organization: record.organizationName };
    return thing(record.id, templateNameOf(record), isForeign(scope, names), parseTemplateName);
  };
  return {
    resource: templates,
    setting: 'templates',
    store,
    // Templates are listed after the workspaces, and may not be.
    hasLooked: (observer) => observer.everything !== undefined,
    *all(observer, scope) {
      const isIn = scopeMatcher(scope);
      for (const record of observer.templates.records()) {
        yield { id: record.id, name: templateNameOf(record), isForeign: !isIn(record) };
      }
    },
    thing: (observer, scope, id) => mapped(observer.template(id), (r) => thingOf(r, scope)),
    named: (observer, scope, name) => mapped(observer.templates.named(name), (r) => thingOf(r, scope)),
    isKnown: (observer, id) => observer.template(id) !== undefined,
    isGone: (observer, id) => observer.templates.isBuried(id),
    labels: (observer, id) =>
      mapped(observer.template(id), (record) =>
        labelsOf({ organization: record.organizationName, template: record.name }),
      ),
    isOutside: (scope, name) => outside(scope, name, parseTemplateName),
    check: async ({ client, observer }, id, askedAt, signal) => {
      try {
        const template = await client.template(id, { signal, counted: false });
        observer.learnTemplate(templateRecordOf(template), askedAt);
        return 'found';
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
      const deleted = await client.deletedTemplateById(id, { signal, counted: false });
      if (deleted === undefined) return 'unseen';
      observer.templateProvenGone(id);
      return 'gone';
    },
    show: (object, isUnseen) => show(object as CoderTemplate, isUnseen),
  };
}

/** The object as it is once its status says what it shows. */
export function withBinding<T extends MirroredObject>(object: T, binding: Binding): T {
  return { ...object, status: { ...object.status, ...binding } };
}

function thing(id: string, name: string, isForeign: boolean, parse: (name: string) => unknown): Thing {
  const nameFault = faultOf(name, parse);
  return { id, name, isForeign, ...(nameFault === undefined ? {} : { nameFault }) };
}

function faultOf(name: string, parse: (name: string) => unknown): string | undefined {
  try {
    parse(name);
    return undefined;
  } catch (error) {
    if (error instanceof InvalidNameError) return error.message;
    throw error;
  }
}

function outside(scope: Scope, name: string, parse: (name: string) => ScopedName): boolean {
  try {
    return isForeign(scope, parse(name));
  } catch (error) {
    if (error instanceof InvalidNameError) return false;
    throw error;
  }
}

function isForeign(scope: Scope, name: ScopedName): boolean {
  return outsideOf(scope, name) !== undefined;
}

function mapped<R, T>(value: R | undefined, map: (value: R) => T): T | undefined {
  return value === undefined ? undefined : map(value);
}
