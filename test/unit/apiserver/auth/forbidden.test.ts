import { expect } from 'chai';
import { forbidden } from '../../../../src/apiserver/auth/forbidden.ts';
import type { Status } from '../../../../src/apiserver/http/status.ts';
import { parseTarget } from '../../../../src/apiserver/http/requestinfo.ts';
import type { RequestInfo } from '../../../../src/apiserver/http/types.ts';

const list = parseTarget('GET', '/apis/aggregation.coder.com/v1alpha1/namespaces/team/coderworkspaces').info;

const refusal = (info: Partial<RequestInfo>, user = 'ann', reason = ''): Status =>
  forbidden({ name: user, groups: [], extra: {} }, { ...list, ...info }, reason).toStatus();

describe('forbidden', () => {
  it("14. tells it in kube's words, in a namespace", () => {
    expect(refusal({})).to.deep.equal({
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message:
        'coderworkspaces.aggregation.coder.com is forbidden: User "ann" cannot list resource "coderworkspaces" in API group "aggregation.coder.com" in the namespace "team"',
      reason: 'Forbidden',
      details: { group: 'aggregation.coder.com', kind: 'coderworkspaces' },
      code: 403,
    });
  });

  it("14. tells it in kube's words, of one object, everywhere and of a subresource", () => {
    const one = refusal({ verb: 'get', name: 'acme.ann.dev' });
    expect(one.message).to.equal(
      'coderworkspaces.aggregation.coder.com "acme.ann.dev" is forbidden: User "ann" cannot get resource "coderworkspaces" in API group "aggregation.coder.com" in the namespace "team"',
    );
    expect(one.details).to.deep.equal({
      name: 'acme.ann.dev',
      group: 'aggregation.coder.com',
      kind: 'coderworkspaces',
    });
    expect(refusal({ namespace: '' }).message).to.match(
      /in API group "aggregation\.coder\.com" at the cluster scope$/,
    );
    expect(refusal({ subresource: 'status' }).message).to.match(/resource "coderworkspaces\/status" in/);
  });

  it('tells it of a path', () => {
    const info = { path: '/metrics', verb: 'get', isResourceRequest: false };
    const status = refusal({ ...info, apiGroup: '', resource: '', namespace: '' }, 'system:anonymous');
    expect(status.message).to.equal('forbidden: User "system:anonymous" cannot get path "/metrics"');
    expect(status.details).to.deep.equal({});
  });

  it('adds the reason of whoever refused', () => {
    expect(refusal({}, 'ann', 'it is Sunday').message).to.match(/in the namespace "team": it is Sunday$/);
  });

  it('lets no browser take it for HTML, and quotes what cannot be printed as Go does', () => {
    expect(refusal({}, '<script>&"\\').message).to.contain('User "&lt;script&gt;&amp;\\"\\\\" cannot');
    expect(refusal({}, 'a\nb\x00\x7f\u200b\u00a0\u{e0001}ü組').message).to.contain(
      'User "a\\nb\\x00\\x7f\\u200b\\u00a0\\U000e0001ü組" cannot',
    );
    const error = forbidden({ name: 'ann', groups: [], extra: {} }, list, '');
    expect(error.options.headers).to.deep.equal({ 'x-content-type-options': 'nosniff' });
  });
});
