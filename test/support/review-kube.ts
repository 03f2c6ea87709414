import type { KubeObject, ResourceType } from '../../src/api/meta.ts';
import type { CallOptions, KubeClient } from '../../src/kube/client.ts';

export interface AskedReview {
  readonly plural: string;
  readonly spec: Readonly<Record<string, unknown>>;
}

/** The API server's part in reviews: answers TokenReviews and SubjectAccessReviews as a test says. */
export class ReviewKube {
  readonly asked: AskedReview[] = [];
  /** The status of the review, or what the call fails with. */
  answer: (review: AskedReview) => object | Promise<object>;

  constructor(answer: (review: AskedReview) => object | Promise<object>) {
    this.answer = answer;
  }

  get client(): Pick<KubeClient, 'create'> {
    return {
      create: async <T extends KubeObject>(
        { plural, group, version, namespaced }: ResourceType,
        object: object,
        options?: CallOptions,
      ): Promise<T> => {
        if (namespaced || !group.endsWith('.k8s.io') || version !== 'v1') throw new Error('a wrong resource');
        if (options?.signal !== undefined) throw new Error('a caller could end the review of others');
        // As it goes over the wire.
        const { spec, ...rest } = JSON.parse(JSON.stringify(object)) as { spec: Record<string, unknown> };
        if (Object.keys(rest).length > 0) throw new Error('more than a spec');
        const review = { plural, spec };
        this.asked.push(review);
        const status: unknown = await this.answer(review);
        return { metadata: { name: '' }, spec, status } as unknown as T;
      },
    };
  }
}
