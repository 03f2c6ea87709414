import { expect } from 'chai';
import fc from 'fast-check';
import { CREDENTIALS_SECRET_TYPE, VALUES_SECRET_TYPE } from '../../../src/api/kinds.ts';
import type { ConfigMap } from '../../../src/controller/configmaps.ts';
import type { Secret } from '../../../src/controller/secrets.ts';
import {
  referredConfigMaps,
  resolveValues,
  secretTexts,
  type ValueItem,
  type ValuesFact,
} from '../../../src/controller/values.ts';

const PASSWORD = 'hunter2-and-more';

function secret(data: Readonly<Record<string, string | Buffer>>, more: Partial<Secret> = {}): Secret {
  return {
    metadata: { name: 'values', namespace: 'team', uid: 'uid-1', resourceVersion: '7' },
    type: VALUES_SECRET_TYPE,
    data: Object.fromEntries(
      Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
    ),
    ...more,
  };
}

function configMap(data: Readonly<Record<string, string>>, more: Partial<ConfigMap> = {}): ConfigMap {
  return { metadata: { name: 'settings', namespace: 'team', uid: 'uid-2' }, data, ...more };
}

const fromSecret = (name: string, key = 'password', from = 'values'): ValueItem => ({
  name,
  valueFrom: { secretKeyRef: { name: from, key } },
});
const fromConfigMap = (name: string, key = 'region', from = 'settings'): ValueItem => ({
  name,
  valueFrom: { configMapKeyRef: { name: from, key } },
});

describe('resolveValues', () => {
  let secrets: Map<string, Secret | 'forbidden'>;
  let configMaps: Map<string, ConfigMap | 'forbidden'>;
  let reads: string[];

  beforeEach(() => {
    secrets = new Map([['values', secret({ password: PASSWORD })]]);
    configMaps = new Map([['settings', configMap({ region: 'eu' })]]);
    reads = [];
  });

  const resolve = (...items: readonly ValueItem[]): Promise<ValuesFact> =>
    resolveValues(items, {
      namespace: 'team',
      secret: (name) => {
        reads.push(`secret ${name}`);
        return Promise.resolve(secrets.get(name));
      },
      configMap: (name) => {
        reads.push(`configmap ${name}`);
        return Promise.resolve(configMaps.get(name));
      },
    });

  async function hashOf(...items: readonly ValueItem[]): Promise<string> {
    const fact = await resolve(...items);
    if (fact.state !== 'resolved') throw new Error(fact.cause.message);
    return fact.hash;
  }

  async function missing(...items: readonly ValueItem[]): Promise<string> {
    const fact = await resolve(...items);
    if (fact.state !== 'missing') throw new Error(`it is ${fact.state}`);
    expect(fact.cause.reason).to.equal('WaitingForDependency');
    return fact.cause.message;
  }

  it('takes values from the spec, Secrets and ConfigMaps, and knows which of them are secret', async () => {
    const fact = await resolve({ name: 'cpu', value: '4' }, fromSecret('pw'), fromConfigMap('region'));
    expect(fact).to.deep.include({
      state: 'resolved',
      values: [
        { name: 'cpu', value: '4', isSecret: false },
        { name: 'pw', value: PASSWORD, isSecret: true },
        { name: 'region', value: 'eu', isSecret: false },
      ],
    });
  });

  it('takes a value as it stands, empty or with a line end', async () => {
    secrets.set('values', secret({ password: ' a\n', empty: '', bom: '\ufeffa' }));
    const fact = await resolve(fromSecret('a'), fromSecret('b', 'empty'), fromSecret('c', 'bom'));
    expect(fact)
      .to.have.property('values')
      .that.deep.equals([
        { name: 'a', value: ' a\n', isSecret: true },
        { name: 'b', value: '', isSecret: true },
        { name: 'c', value: '\ufeffa', isSecret: true },
      ]);
  });

  it('reads each Secret and ConfigMap once', async () => {
    secrets.set('values', secret({ a: '1', b: '2' }));
    await resolve(fromSecret('x', 'a'), fromSecret('y', 'b'), fromConfigMap('r'), fromConfigMap('s'));
    expect(reads).to.deep.equal(['secret values', 'configmap settings']);
  });

  it('uses nothing of a Secret of another type, Coder’s token least of all', async () => {
    for (const type of [CREDENTIALS_SECRET_TYPE, 'Opaque', undefined]) {
      const { metadata, data } = secret({ password: PASSWORD });
      secrets.set('values', { metadata, ...(data && { data }), ...(type && { type }) });
      expect(await missing(fromSecret('pw')))
        .to.include(`of the type ${type ?? 'Opaque'} and not ${VALUES_SECRET_TYPE}`)
        .and.to.include('none was');
    }
  });

  it('names everything that is missing, each thing once', async () => {
    const message = await missing(
      fromSecret('a', 'password', 'nowhere'),
      fromSecret('b', 'password', 'nowhere'),
      fromSecret('c', 'key'),
      fromConfigMap('d', 'key'),
      fromConfigMap('e', 'region', 'nothing'),
    );
    expect(message.split('; ')).to.deep.equal([
      'there is no Secret nowhere: create it with the type coder.com/values and the key password',
      'the Secret values has no key key',
      'the ConfigMap settings has no key key',
      'there is no ConfigMap nothing',
    ]);
  });

  it('does not take what every JavaScript object has for a key', async () => {
    expect(await missing(fromSecret('a', 'constructor'))).to.include('no key constructor');
    expect(await missing(fromConfigMap('a', 'toString'))).to.include('no key toString');
  });

  it('says how reading is allowed, whatever else is missing', async () => {
    secrets.set('values', 'forbidden');
    const fact = await resolve(fromSecret('a', 'password', 'nowhere'), fromSecret('b'));
    expect(fact).to.have.property('state', 'forbidden');
    expect(fact).to.have.nested.property('cause.reason', 'SecretForbidden');
    expect(fact)
      .to.have.nested.property('cause.message')
      .that.includes('Secret values')
      .and.includes('kubectl apply -n team -k config/tenant');
    configMaps.set('settings', 'forbidden');
    expect(await resolve(fromConfigMap('c')))
      .to.have.nested.property('cause.message')
      .that.includes('ConfigMaps of the namespace team');
  });

  const unfit: readonly (readonly [string, Buffer, string])[] = [
    ['that is no text', Buffer.from([0x61, 0xff, 0xfe]), 'is not a text in UTF-8'],
    ['with a character that Coder cannot keep', Buffer.from('a\0b'), 'is not a text in UTF-8'],
    ['that is too long', Buffer.alloc(64 * 1024 + 1, 'a'), 'is longer than 64 KiB'],
  ];
  for (const [what, bytes, problem] of unfit) {
    it(`refuses a value ${what}`, async () => {
      secrets.set('values', secret({ password: bytes }));
      configMaps.set('settings', configMap({}, { binaryData: { region: bytes.toString('base64') } }));
      expect(await missing(fromSecret('a'), fromConfigMap('b'))).to.equal(
        `the key password of the Secret values ${problem}; the key region of the ConfigMap settings ${problem}`,
      );
    });
  }

  it('takes a value of exactly the largest size', async () => {
    secrets.set('values', secret({ password: Buffer.alloc(64 * 1024, 'a') }));
    expect(await resolve(fromSecret('a'))).to.have.property('state', 'resolved');
  });

  it('fails as the API server fails', async () => {
    const down = new Error('no answer');
    const asked = resolveValues([fromSecret('a'), fromSecret('b')], {
      namespace: 'team',
      secret: () => Promise.reject(down),
      configMap: () => Promise.reject(down),
    });
    expect(await asked.catch((error: unknown) => error)).to.equal(down);
  });

  describe('hash', () => {
    it('does not depend on the order', async () => {
      const items = [
        { name: 'b', value: '1' },
        { name: 'a', value: '2' },
        fromSecret('c'),
        fromConfigMap('d'),
      ];
      const shuffled = fc.shuffledSubarray(items, { minLength: items.length });
      const expected = await hashOf(...items);
      await fc.assert(
        fc.asyncProperty(shuffled, async (order) => {
          expect(await hashOf(...order)).to.equal(expected);
        }),
        { numRuns: 20 },
      );
      expect(expected).to.match(/^[0-9a-f]{16}$/);
    });

    it('tells apart names, values and where one ends and the other begins', async () => {
      const text = fc.string({ maxLength: 4 });
      const list = fc.uniqueArray(fc.record({ name: text, value: text }), {
        maxLength: 3,
        selector: ({ name }) => name,
      });
      const sorted = (items: readonly ValueItem[]): string =>
        JSON.stringify(items.map((i) => JSON.stringify(i)).sort());
      await fc.assert(
        fc.asyncProperty(list, list, async (a, b) => {
          expect((await hashOf(...a)) === (await hashOf(...b))).to.equal(sorted(a) === sorted(b));
        }),
        { numRuns: 200 },
      );
    });

    it('stays the same when a value moves from the spec to a ConfigMap', async () => {
      expect(await hashOf({ name: 'region', value: 'eu' })).to.equal(await hashOf(fromConfigMap('region')));
    });

    it('follows the version of a Secret and never its values', async () => {
      const before = await hashOf(fromSecret('pw'));
      secrets.set('values', secret({ password: 'something else' }));
      expect(await hashOf(fromSecret('pw')), 'no value enters it').to.equal(before);
      const { metadata } = secret({});
      for (const change of [{ resourceVersion: '8' }, { uid: 'uid-9' }]) {
        secrets.set('values', secret({ password: PASSWORD }, { metadata: { ...metadata, ...change } }));
        expect(await hashOf(fromSecret('pw'))).to.not.equal(before);
      }
      secrets.set('values', secret({ password: PASSWORD, other: PASSWORD }));
      expect(await hashOf(fromSecret('pw', 'other')), 'another key').to.not.equal(before);
    });
  });

  it('tells no secret value in what it says', async () => {
    secrets.set('values', secret({ password: `${PASSWORD}\0` }, { type: VALUES_SECRET_TYPE }));
    expect(await missing(fromSecret('pw'))).to.not.include(PASSWORD);
    secrets.set('values', secret({ password: PASSWORD }, { type: 'Opaque' }));
    expect(await missing(fromSecret('pw'))).to.not.include(PASSWORD);
  });
});

describe('referredConfigMaps', () => {
  it('names each ConfigMap once, and nothing else', () => {
    const items = [
      { name: 'a', value: '1' },
      fromSecret('b'),
      fromConfigMap('c'),
      fromConfigMap('d', 'other'),
      fromConfigMap('e', 'key', 'more'),
    ];
    expect(referredConfigMaps(items)).to.deep.equal(['settings', 'more']);
    expect(referredConfigMaps(undefined)).to.deep.equal([]);
  });
});

describe('secretTexts', () => {
  it('gives secret values and the items of secret lists, and nothing that is open', () => {
    const values = ['open', '', 's1', '["s2",""]'].map((value) => ({
      name: 'p',
      value,
      isSecret: value !== 'open',
    }));
    expect(secretTexts(values)).to.deep.equal(['s1', '["s2",""]', 's2']);
  });
});
