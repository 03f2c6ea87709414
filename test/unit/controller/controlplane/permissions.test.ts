import { expect } from 'chai';
import type { CoderControlPlane } from '../../../../src/api/kinds.ts';
import { connectedFact, permissionsOf } from '../../../../src/controller/controlplane/permissions.ts';

const credentialsSecretRef = { name: 'coder' };

describe('permissionsOf', () => {
  it('allows everything but the deletion of what was adopted, when the spec does not say', () => {
    expect(permissionsOf({ credentialsSecretRef })).to.deep.equal({
      scope: { organizations: [], owners: [] },
      adoptedDeletion: false,
      suspended: false,
    });
  });

  it('says what the spec says', () => {
    const scope = { organizations: ['acme'], owners: ['ann'] };
    expect(
      permissionsOf({ credentialsSecretRef, scope, adoptedDeletion: 'Allow', suspend: true }),
    ).to.deep.equal({ scope, adoptedDeletion: true, suspended: true });
    expect(permissionsOf({ credentialsSecretRef, adoptedDeletion: 'Deny' }).adoptedDeletion).to.equal(false);
  });
});

describe('connectedFact', () => {
  const handshake = {
    state: 'connected',
    url: 'https://coder.example.com',
    version: 'v2.30.0',
    deploymentID: 'd1',
    user: { id: 'u1', name: 'coder-operator' },
    token: undefined,
  } as const;
  const object = (accepted?: string): CoderControlPlane => ({
    metadata: {
      name: 'coder',
      ...(accepted === undefined ? {} : { annotations: { 'coder.com/accept-deployment': accepted } }),
    },
    spec: { credentialsSecretRef },
  });

  it('says whether a person has accepted the very deployment that answers', () => {
    expect(connectedFact(object(), handshake).isAccepted).to.equal(false);
    expect(connectedFact(object('another'), handshake).isAccepted).to.equal(false);
    expect(connectedFact(object('d1'), handshake)).to.deep.include({
      isAccepted: true,
      deploymentID: 'd1',
      userID: 'u1',
      url: 'https://coder.example.com',
    });
  });
});
