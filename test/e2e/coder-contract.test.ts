import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { startStack, type Stack } from '../../hack/stack/stack.ts';
import { CoderClient, type CoderClientOptions } from '../../src/coder/client.ts';
import { isConflict, isForbidden, isNotFound, isUnauthorized } from '../../src/coder/errors.ts';
import type { Template, Workspace } from '../../src/coder/types.ts';
import { describeCoderContract } from '../support/coder-contract.ts';
import { asAdmin, CONTRACT_SETTINGS, newMember, openReal } from '../support/coder/contract-real.ts';
import { Contract, expectFailure, type ContractHarness } from '../support/coder/contract.ts';

describe('CoderClient and a real Coder', function () {
  this.timeout(60_000);

  let stack: Stack;
  let client: CoderClient;
  let harness: ContractHarness;
  const contract = new Contract(() => harness, 'e');

  before(async function () {
    this.timeout(900_000); // The programs may have to be built.
    stack = await startStack({ kubernetes: false, coderSettings: CONTRACT_SETTINGS });
    client = connect();
    harness = await openReal(stack, client);
  });

  after(async function () {
    this.timeout(60_000);
    // Absent when `before` has failed.
    await (harness as ContractHarness | undefined)?.close();
    (client as CoderClient | undefined)?.close();
    await (stack as Stack | undefined)?.stop();
  });

  function connect(options: Partial<CoderClientOptions> = {}): CoderClient {
    const policy = { httpHosts: ['127.0.0.1'], allowLoopback: true };
    return new CoderClient({
      url: stack.coder.url,
      token: stack.coder.operatorToken,
      policy,
      requestsPerMinute: 100_000,
      ...options,
    });
  }

  describe('the connection', () => {
    it('tells who Coder is without a token', async () => {
      const anonymous = connect({ token: 'wrong-token' });
      const info = await anonymous.buildInfo();
      expect(info.version).to.match(/^v2\./);
      expect(info.deployment_id).to.match(/^[0-9a-f-]{36}$/);
      anonymous.close();
    });

    it('knows the user of the token by an alias, and the organization', async () => {
      const me = await client.me();
      expect(me).to.include({ username: stack.coder.operatorUser, status: 'active' });
      const organization = await client.organization('default');
      expect(organization).to.include({ id: contract.organizationID, is_default: true });
    });

    it('says when the token ends', async () => {
      const { at = '', lifetimeMs } = (await client.tokenExpiry()) ?? {};
      expect(Date.parse(at)).to.be.greaterThan(Date.now());
      expect(lifetimeMs).to.be.greaterThan(0);
    });

    it('refuses a wrong token with 401', async () => {
      const other = connect({ token: 'abcdefghij-0123456789012345678901' });
      const error = await expectFailure(other.me(), isUnauthorized);
      expect(error.requestID).to.match(/^[0-9a-f-]{36}$/);
      other.close();
    });
  });

  describe('templates', () => {
    it('are listed when they are deprecated, and proven gone when they were', async () => {
      const old = await contract.newTemplate();
      await harness.deprecate(old.id);
      expect((await client.templates()).map(({ id }) => id)).to.include(old.id);
      await client.deleteTemplate(old.id);
      expect(await client.deletedTemplateById(old.id)).to.include({ id: old.id });
    });

    it('have versions with a log, and say when no provisioner can import them', async () => {
      const { id, active_version_id: version } = await contract.newTemplate();
      const logs = await client.templateVersionLogs(version, { lines: 3 });
      expect(logs).to.have.length(3);
      const ids = logs.map((line) => line.id);
      expect(ids).to.deep.equal([...ids].sort((a, b) => a - b));
      const pending = await contract.newVersion(id, { imports: 'hang' });
      expect(pending.job.status).to.equal('pending');
      expect(pending.matched_provisioners).to.deep.equal({ count: 0, available: 0 });
    });
  });

  describe('workspaces', () => {
    let template: Template;
    let workspace: Workspace;

    before(async () => {
      template = await contract.newTemplate();
      workspace = await contract.newWorkspace(template);
    });

    it('are 409 or a lost race, never two, when made at once', async () => {
      const body = { name: contract.nameOf('race'), template_id: template.id };
      const outcomes = await Promise.allSettled(
        Array.from({ length: 6 }, () => client.createWorkspace(contract.owner, body)),
      );
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).to.have.length(1);
      for (const outcome of outcomes) {
        if (outcome.status === 'rejected')
          expect(isConflict(outcome.reason), String(outcome.reason)).to.equal(true);
      }
    });

    it('are hidden, not gone, from a token that may not see them', async () => {
      const guest = connect({ token: await guestToken(`guest-${randomUUID().slice(0, 8)}`) });
      await expectFailure(guest.workspace(workspace.id), isNotFound);
      await expectFailure(guest.provisionerJobs(contract.organizationID), isNotFound);
      expect((await guest.workspaces()).count).to.equal(0);
      await expectFailure(guest.promoteTemplateVersion(template.id, template.active_version_id), isForbidden);
      await expectFailure(guest.setTTL(workspace.id, 0), isNotFound);
      guest.close();
    });
  });

  /** Makes a member of the organization without any other role. */
  async function guestToken(username: string): Promise<string> {
    await newMember(stack, username);
    const made = await asAdmin(stack, 'POST', `/users/${username}/keys/tokens`, { token_name: 'test' });
    return String((made as { readonly key: unknown }).key);
  }

  // Last, since at its end the uploads of a minute are used up. The cases before use the same Coder, which is closed
  // when all have run.
  describeCoderContract('that keeps the contract', () =>
    Promise.resolve({ ...harness, close: () => Promise.resolve() }),
  );
});
