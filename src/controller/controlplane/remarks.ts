import { findCondition } from '../../api/conditions.ts';
import type { CoderControlPlane } from '../../api/kinds.ts';
import type { JobFeedState } from '../observer/feed.ts';

const REFUSED =
  'The token may not read provisioner jobs, so a build that somebody else begins is seen with the next look at everything only: give its user the role Template Admin of the organization, or Owner';

/** What a person should know of the job feed. As long as nobody knows how it is, that is what was said before. */
export function jobFeedRemarks(
  feed: JobFeedState['state'],
  { status }: CoderControlPlane,
): readonly string[] {
  const wasSaid = findCondition(status?.conditions, 'Ready')?.message.includes(REFUSED) === true;
  return feed === 'refused' || (feed === 'unknown' && wasSaid) ? [REFUSED] : [];
}
