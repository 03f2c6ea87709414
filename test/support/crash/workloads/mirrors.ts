import { workspaces } from '../../../../src/api/kinds.ts';
import { OWNER } from '../../controller-coder.ts';
import { isReady } from '../../tenant.ts';
import type { Workload } from '../workload.ts';

const isMirrored = (o: { readonly status?: { readonly origin?: string | undefined } }): boolean =>
  o.status?.origin === 'Mirrored';

export const mirrorsComeAndGo: Workload = {
  id: 'W8',
  title: 'mirrors of what appears, is renamed, is deleted and is claimed',
  options: { mirrors: true, prepare: (coder) => void coder.addPrebuild(coder.addTemplate()) },
  run: async (w) => {
    const made = w.inCoder((coder) => coder.addWorkspace(OWNER.username, 'web', coder.addTemplate()));
    const workspaceID = made?.id ?? '';
    await w.untilWorkspace('acme.ann.web', (o) => isReady(o) && isMirrored(o));
    await w.checkpoint();
    w.inCoder((coder) => coder.rename('site', workspaceID));
    await w.untilWorkspace('acme.ann.site', (o) => isReady(o) && isMirrored(o));
    await w.untilGone(() => w.workspace('acme.ann.web'));
    await w.checkpoint();
    w.inCoder((coder) => coder.build('delete', OWNER.id, 'dashboard', { workspaceID }));
    await w.untilGone(() => w.workspace('acme.ann.site'));
    await w.checkpoint();
    w.inCoder((coder) => coder.claimPrebuilds(OWNER, 'claimed'));
    await w.untilWorkspace('acme.ann.claimed', (o) => isReady(o) && isMirrored(o));
    await w.checkpoint();
  },
};

export const mirrorPromoted: Workload = {
  id: 'W9',
  title: 'a mirror that is made a person’s own by server-side apply',
  options: {
    mirrors: true,
    prepare: (coder) => void coder.addWorkspace(OWNER.username, 'web', coder.addTemplate()),
  },
  run: async (w) => {
    await w.untilWorkspace('acme.ann.web', (o) => isReady(o) && isMirrored(o));
    await w.checkpoint();
    await w.applyServerSide(workspaces, 'acme.ann.web', { running: false, ttlMillis: 7_200_000 });
    await w.untilWorkspace(
      'acme.ann.web',
      (o) => isReady(o) && o.status?.origin === 'Adopted' && o.status.running === false,
    );
    await w.until(
      'its labels are given up',
      () => w.workspace('acme.ann.web')?.metadata.labels?.['coder.com/mirror'] === undefined,
    );
    await w.checkpoint();
  },
};
