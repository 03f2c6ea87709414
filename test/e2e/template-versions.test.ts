import { expect } from 'chai';
import type { CoderTemplate } from '../../src/api/kinds.ts';
import { SERVERS_WITHIN_MS } from '../support/servers.ts';
import { has, isReady, messageOf, SMALL, Tenant } from '../support/tenant.ts';

const activeName = (t: CoderTemplate): string => t.status?.activeVersion?.name ?? '';

describe('versions of a template', function () {
  this.timeout(90_000);
  let tenant: Tenant;
  let manual: Tenant;
  let id: string;
  const SECOND = { ...SMALL, 'README.md': 'the second' };
  const BROKEN = { ...SMALL, 'more.tf': 'resource "terraform_data" "more" {\n' };
  const names: string[] = [];

  before(async function () {
    this.timeout(SERVERS_WITHIN_MS);
    tenant = await Tenant.create();
    manual = await Tenant.create();
    await tenant.apply(tenant.credentials(), tenant.controlPlane(), tenant.template({ files: SMALL }));
    await manual.apply(
      manual.credentials(),
      manual.controlPlane(),
      manual.template({ files: SMALL, promotion: 'Manual' }),
    );
    const first = await tenant.untilTemplate(isReady);
    id = first.status?.id ?? '';
    names.push(activeName(first));
  });

  after(async function () {
    this.timeout(150_000);
    // Absent when `before` has failed.
    await (tenant as Tenant | undefined)?.destroy();
    await (manual as Tenant | undefined)?.destroy();
  });

  it('follow its content', async () => {
    await tenant.apply(tenant.template({ files: SECOND }));
    const ready = await tenant.untilTemplate((t) => isReady(t) && activeName(t) !== names[0]);
    names.push(activeName(ready));
    expect(await tenant.versions(id)).to.deep.equal(names);
    expect((await tenant.coder.template(id)).active_version_id).to.equal(ready.status?.activeVersion?.id);
  });

  it('that cannot be imported say why after three tries, and the one of before stays active', async () => {
    await tenant.apply(tenant.template({ files: BROKEN }));
    const again = await tenant.untilTemplate((t) => has(t, 'Reconciling', 'True', 'ImportFailed'));
    expect(messageOf(again, 'Ready')).to.match(
      /The import of the version \S+ failed: .*Try [23] of 3 follows/s,
    );
    const stalled = await tenant.untilTemplate((t) => has(t, 'Stalled', 'True', 'ImportFailed'), 60_000);
    expect(messageOf(stalled, 'Ready')).to.match(
      /^The import of this content failed 3 times: .+Mend it in spec\.files/s,
    );
    expect(stalled.status?.pendingVersion).to.include({ jobStatus: 'failed', attempt: 3 });
    expect(activeName(stalled)).to.equal(names[1]);
    expect((await tenant.coder.template(id)).active_version_id).to.equal(stalled.status?.activeVersion?.id);
    expect(await tenant.versions(id)).to.have.length(5);
  });

  it('go on when the content is mended, and one that is there is not made again', async () => {
    await tenant.apply(tenant.template({ files: { ...BROKEN, 'more.tf': '# mended\n' } }));
    const mended = await tenant.untilTemplate((t) => isReady(t) && activeName(t) !== names[1], 60_000);
    expect(mended.status?.pendingVersion).to.equal(undefined);
    await tenant.apply(tenant.template({ files: SMALL }));
    await tenant.untilTemplate((t) => isReady(t) && activeName(t) === names[0]);
    expect(await tenant.versions(id)).to.have.length(6);
  });

  it('wait for a person where promotion is Manual', async () => {
    const first = await manual.untilTemplate(isReady);
    await manual.apply(manual.template({ files: SECOND, promotion: 'Manual' }));
    const waiting = await manual.untilTemplate((t) => has(t, 'Ready', 'True', 'WaitingForPromotion'));
    expect(messageOf(waiting, 'Ready')).to.contain(waiting.status?.pendingVersion?.name);
    expect(activeName(waiting)).to.equal(activeName(first));
    const inCoder = (): ReturnType<typeof manual.coder.template> =>
      manual.coder.template(first.status?.id ?? '');
    expect((await inCoder()).active_version_id).to.equal(first.status?.activeVersion?.id);
    const promoted = waiting.status?.pendingVersion?.id ?? '';
    await manual.coder.promoteTemplateVersion(first.status?.id ?? '', promoted);
    const done = await manual.untilTemplate((t) => has(t, 'Ready', 'True', 'UpToDate'));
    expect(done.status?.activeVersion?.id).to.equal(promoted);
    expect(done.status?.pendingVersion).to.equal(undefined);
    expect(await manual.versions(first.status?.id ?? '')).to.have.length(2);
  });
});

describe('variables of a template', function () {
  this.timeout(90_000);
  let tenant: Tenant;
  let first: string;
  /** No text of Kubernetes' or Coder's own could hold them by chance. */
  const TOKEN = 'correct-horse-battery-staple';
  const NEXT_TOKEN = 'staple-battery-horse-correct';
  const FILES = {
    'main.tf': `variable "greeting" {
  type    = string
  default = "hi"
}

variable "token" {
  type      = string
  sensitive = true
}

resource "terraform_data" "home" {
  input = var.greeting
}
`,
  };
  /** Terraform repeats the token in its error: the template does not say that it is sensitive. */
  const LEAKY = {
    'main.tf': `variable "token" {
  type = string
}

resource "terraform_data" "home" {
  lifecycle {
    precondition {
      condition     = length(var.token) > 100
      error_message = "The token \${var.token} is too short."
    }
  }
}
`,
  };

  const fromSecret = (secret: string, key = 'token'): object => ({
    name: 'token',
    valueFrom: { secretKeyRef: { name: secret, key } },
  });
  const GREETING = { name: 'greeting', value: 'hello' };
  const name = (suffix: string): string => `${tenant.tag}${suffix}`;

  before(async function () {
    this.timeout(SERVERS_WITHIN_MS);
    tenant = await Tenant.create();
    await tenant.apply(
      tenant.credentials(),
      tenant.controlPlane(),
      tenant.values('values', { token: TOKEN }),
      tenant.template({ files: FILES, variables: [GREETING, fromSecret('values')] }),
    );
  });

  after(async function () {
    this.timeout(150_000);
    // Absent when `before` has failed.
    await (tenant as Tenant | undefined)?.destroy();
  });

  /** As Coder keeps them, also what its API does not show. */
  async function inCoder(versionID: string | undefined): Promise<unknown> {
    return tenant.stack.coder.sql(
      `select name, value from template_version_variables where template_version_id = '${versionID}' order by name`,
    );
  }

  it('have the values of the spec and of Secrets', async () => {
    const ready = await tenant.untilTemplate(isReady);
    first = activeName(ready);
    expect(await inCoder(ready.status?.activeVersion?.id)).to.deep.equal([
      ['greeting', 'hello'],
      ['token', TOKEN],
    ]);
    // It is not watched: the last test sees what comes of it.
    await tenant.apply(tenant.values('values', { token: NEXT_TOKEN }));
  });

  it('are waited for when their Secret is not there, or no Secret of values', async () => {
    await tenant.apply(
      tenant.values('opaque', { token: TOKEN }, 'Opaque'),
      tenant.template({ files: FILES, variables: [fromSecret('later')] }, name('m')),
      tenant.template({ files: FILES, variables: [fromSecret('opaque')] }, name('w')),
      tenant.template({ files: FILES, variables: [fromSecret('coder')] }, name('c')),
    );
    for (const [suffix, says] of [
      ['m', /^spec\.variables: there is no Secret later/],
      ['w', /^spec\.variables: the Secret opaque is of the type Opaque and not coder\.com\/values/],
      ['c', /^spec\.variables: the Secret coder is of the type coder\.com\/credentials/],
    ] as const) {
      const waiting = await tenant.untilTemplate(
        (t) => has(t, 'Reconciling', 'True', 'WaitingForDependency'),
        30_000,
        name(suffix),
      );
      expect(messageOf(waiting, 'Ready')).to.match(says);
    }
    await tenant.apply(tenant.values('later', { token: TOKEN }));
    await tenant.untilTemplate(isReady, 60_000, name('m'));
  });

  it('that are required and not given are named, and given they go on', async () => {
    await tenant.apply(tenant.template({ files: FILES }, name('r')));
    const stalled = await tenant.untilTemplate(
      (t) => has(t, 'Stalled', 'True', 'ImportFailed'),
      30_000,
      name('r'),
    );
    expect(messageOf(stalled, 'Ready')).to.match(/no value: .*token.*Give them in spec\.variables/s);
    expect(stalled.status?.pendingVersion?.attempt).to.equal(1);
    await tenant.apply(tenant.template({ files: FILES, variables: [fromSecret('later')] }, name('r')));
    await tenant.untilTemplate(isReady, 60_000, name('r'));
  });

  it('from a Secret are not shown, not even when Terraform does', async () => {
    await tenant.apply(tenant.template({ files: LEAKY, variables: [fromSecret('later')] }, name('l')));
    const failed = await tenant.untilTemplate(
      (t) => has(t, 'Ready', 'False', 'ImportFailed'),
      60_000,
      name('l'),
    );
    const { id = '' } = failed.status?.pendingVersion ?? {};
    const { job } = await tenant.coder.templateVersion(id);
    const logs = await tenant.coder.templateVersionLogs(id);
    expect(JSON.stringify([job, logs]), 'the fault that is to be kept').to.contain(TOKEN);
    expect(messageOf(failed, 'Ready')).to.contain('it is not repeated here');
    await tenant.kubectl('delete', 'ctpl', failed.metadata.name, '--timeout=30s');
  });

  it('are given anew when the Secret changes, and are shown nowhere', async () => {
    const next = await tenant.untilTemplate((t) => isReady(t) && activeName(t) !== first, 80_000);
    expect(await inCoder(next.status?.activeVersion?.id)).to.deep.equal([
      ['greeting', 'hello'],
      ['token', NEXT_TOKEN],
    ]);
    expect(await tenant.versions(next.status?.id ?? '')).to.have.length(2);
    const shown = await tenant.shown();
    expect(shown.length).to.be.greaterThan(1_000);
    for (const secret of [TOKEN, NEXT_TOKEN]) expect(shown.includes(secret)).to.equal(false);
  });
});
