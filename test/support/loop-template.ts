import type { CoderTemplateSpec } from '../../src/api/generated.ts';
import { annotations, templates, type CoderTemplate } from '../../src/api/kinds.ts';
import { unpack } from '../../src/coder/unpack.ts';
import { ORGANIZATION } from './controller-coder.ts';
import type { Loop } from './loop.ts';
import { has, isReady } from './tenant.ts';

/** One template of a loop, as its users see it. */
export class LoopTemplate {
  readonly #loop: Loop;
  /** In Coder. */
  readonly name: string;

  private constructor(loop: Loop, name: string) {
    this.#loop = loop;
    this.name = name;
  }

  /** Applies the template `acme.<name>`. */
  static async apply(loop: Loop, name: string, spec: CoderTemplateSpec): Promise<LoopTemplate> {
    const template = new LoopTemplate(loop, name);
    const metadata = { name: template.objectName, namespace: loop.namespace };
    await loop.kube.create(templates, { metadata, ...{ spec } });
    await template.until(() => true);
    return template;
  }

  get objectName(): string {
    return `${ORGANIZATION.name}.${this.name}`;
  }

  get object(): CoderTemplate {
    const object = this.#loop.template(this.objectName);
    if (object === undefined) throw new Error(`There is no CoderTemplate ${this.objectName}`);
    return object;
  }

  /** How often the operator has looked at it. */
  get passes(): number {
    return this.#loop.passes(templates, this.objectName);
  }

  until(isSo: (object: CoderTemplate) => boolean): Promise<CoderTemplate> {
    return this.#loop.until(() => this.#loop.template(this.objectName), isSo);
  }

  /** Waits until it is Ready with another active version than this one, if one is given, and gives that. */
  async untilActive(before?: string): Promise<string> {
    const { status } = await this.until((o) => isReady(o) && o.status?.activeVersion?.id !== before);
    return status?.activeVersion?.id ?? '';
  }

  /** Waits until it says why it cannot go on by itself, or has to wait. */
  async untilSaid(type: 'Reconciling' | 'Stalled', reason: string): Promise<CoderTemplate> {
    return this.until((o) => has(o, type, 'True', reason));
  }

  /** A file of the version that is active in Coder now. */
  async activeFile(path: string): Promise<string | undefined> {
    const { coder } = this.#loop;
    const { active_version_id: id } = await coder.templateByName(ORGANIZATION.name, this.name);
    const { job } = await coder.templateVersion(id);
    const { files } = await unpack(await coder.file(job.file_id ?? ''));
    const content = files[path];
    return content === undefined ? undefined : Buffer.from(content).toString();
  }

  /** A person changes the manifest; null takes a field out. */
  async patch(spec: Readonly<Record<string, unknown>>): Promise<void> {
    await this.#loop.kube.mergePatch(templates, this.#loop.namespace, this.objectName, { spec });
  }

  /** A person changes an annotation that means nothing. */
  async touch(): Promise<void> {
    const metadata = { annotations: { 'example.com/touched': String(this.passes) } };
    await this.#loop.kube.mergePatch(templates, this.#loop.namespace, this.objectName, { metadata });
  }

  /** A person asks to have the wish carried out again. */
  async ask(value: string): Promise<void> {
    const metadata = { annotations: { [annotations.reconcileRequestedAt]: value } };
    await this.#loop.kube.mergePatch(templates, this.#loop.namespace, this.objectName, { metadata });
  }

  /** A person deletes the object, and it is gone. */
  async delete(): Promise<void> {
    await this.#loop.kube.delete(templates, this.#loop.namespace, this.objectName);
    await this.#loop.until(
      () => ({ object: this.#loop.template(this.objectName) }),
      ({ object }) => object === undefined,
    );
  }
}
