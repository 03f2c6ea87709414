import { expect } from 'chai';
import { isActiveJob, isPrebuild } from '../../../src/coder/states.ts';

describe('states in Coder', () => {
  it('tell prebuilds', () => {
    const ann = '22222222-2222-4222-8222-222222222222';
    expect(isPrebuild({ owner_id: ann })).to.equal(false);
    expect(isPrebuild({ owner_id: ann, is_prebuild: true })).to.equal(true);
    expect(isPrebuild({ owner_id: 'c42fdf75-3097-471c-8c33-fb52454d81c0' })).to.equal(true);
  });

  it('tell jobs that are under way from those that ended', () => {
    const all = ['pending', 'running', 'canceling', 'succeeded', 'failed', 'canceled', 'unknown'];
    expect(all.filter(isActiveJob)).to.deep.equal(['pending', 'running', 'canceling']);
  });
});
