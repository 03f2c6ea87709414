import type { LookupAddress } from 'node:dns';
import { expect } from 'chai';
import { OperatorError } from '../../../src/base/errors.ts';
import {
  checkBaseUrl,
  checkDownloadUrl,
  checkedLookup,
  type HostPolicy,
} from '../../../src/coder/address.ts';
import { AddressRefusedError } from '../../../src/coder/errors.ts';

const STRICT: HostPolicy = { httpHosts: [], allowLoopback: false };
const LOCAL: HostPolicy = { httpHosts: ['127.0.0.1', '::1', 'Coder.Test'], allowLoopback: true };

function fault(url: string, policy: HostPolicy = STRICT): unknown {
  try {
    checkBaseUrl(url, policy);
    return undefined;
  } catch (error) {
    return error;
  }
}

describe('checkBaseUrl', () => {
  const accepted: [string, HostPolicy?][] = [
    ['https://coder.example.com'],
    ['https://coder.example.com:8443'],
    ['https://10.0.0.5'],
    ['https://192.168.1.1'],
    ['https://172.16.0.1'],
    ['https://[fd00::1]'],
    ['https://100.64.0.1'],
    ['http://coder.coder.svc'],
    ['http://coder.coder.svc.cluster.local:8080'],
    ['http://coder.coder.svc.cluster.local.'],
    ['http://coder.coder.svc.example.org', { ...STRICT, clusterDomain: 'example.org' }],
    ['http://127.0.0.1:3000', LOCAL],
    ['http://[::1]:3000', LOCAL],
    ['http://CODER.test', LOCAL],
    ['https://localhost', LOCAL],
  ];
  for (const [url, policy] of accepted) {
    it(`accepts ${url}`, () => expect(fault(url, policy)).to.equal(undefined));
  }

  it('keeps a path before the API', () => {
    expect(checkBaseUrl('https://example.com/coder/', STRICT).pathname).to.equal('/coder/');
  });

  const wrong: [string, RegExp, HostPolicy?][] = [
    ['', /not an absolute URL/],
    ['coder.example.com', /not an absolute URL/],
    ['ftp://coder.example.com', /"ftp:" is not supported; use https/],
    ['file:///etc/passwd', /"file:" is not supported/],
    ['https://user:pw@coder.example.com', /user name or password/],
    ['https://user@coder.example.com', /user name or password/],
    ['https://coder.example.com?x=1', /query or fragment/],
    ['https://coder.example.com/?', /query or fragment/],
    ['https://coder.example.com/#', /query or fragment/],
    ['https://coder.example.com\n', /white space/],
    ['https://coder .example.com', /white space/],
    [
      'http://coder.example.com',
      /http is allowed only to Services inside the cluster.*"coder.example.com".*use https/,
    ],
    ['http://10.0.0.5', /http is allowed only/],
    ['http://svc', /http is allowed only/],
    ['http://coder.svc', /http is allowed only/],
    ['http://coder.coder.svc.evil.com', /http is allowed only/],
    ['http://coder.coder.svc.cluster.local.evil.com', /http is allowed only/],
    [
      'http://coder.coder.svc.cluster.local',
      /http is allowed only/,
      { ...STRICT, clusterDomain: 'example.org' },
    ],
    ['http://127.0.0.2:3000', /http is allowed only/, LOCAL],
    ['http://sub.coder.test', /http is allowed only/, LOCAL],
  ];
  for (const [url, message, policy] of wrong) {
    it(`refuses ${JSON.stringify(url)} with a reason`, () => {
      const error = fault(url, policy);
      expect(error).to.be.instanceOf(OperatorError).with.property('code', 'INVALID_CODER_URL');
      expect((error as Error).message).to.match(message);
    });
  }

  const refusedLiterals = [
    'https://127.0.0.1',
    'https://127.9.9.9',
    'https://2130706433',
    'https://0x7f.1',
    'https://[::1]',
    'https://[::ffff:127.0.0.1]',
    'https://0.0.0.0',
    'https://[::]',
    'https://169.254.169.254',
    'https://[::ffff:169.254.169.254]',
    'https://[::ffff:0:169.254.169.254]',
    'https://[::169.254.169.254]',
    'https://[64:ff9b::169.254.169.254]',
    'https://[2002:a9fe:a9fe::1]',
    'https://[fe80::1]',
    'https://[febf::1]',
    'https://[fd00:ec2::254]',
    'https://[fd20:ce::254]',
    'https://100.100.100.200',
    'https://[::ffff:100.100.100.200]',
    'https://168.63.129.16',
    'https://224.0.0.1',
    'https://[ff02::1]',
    'https://255.255.255.255',
  ];
  for (const url of refusedLiterals) {
    it(`refuses the address ${url}`, () => expect(fault(url)).to.be.instanceOf(AddressRefusedError));
  }

  it('refuses link-local and metadata addresses even where loopback is allowed', () => {
    expect(fault('https://169.254.169.254', LOCAL)).to.be.instanceOf(AddressRefusedError);
    expect(fault('https://[::ffff:127.0.0.1]', LOCAL)).to.equal(undefined);
  });
});

describe('checkDownloadUrl', () => {
  function downloadFault(url: string, policy: HostPolicy = STRICT): unknown {
    try {
      checkDownloadUrl(url, policy);
      return undefined;
    } catch (error) {
      return error;
    }
  }

  const accepted: [string, HostPolicy?][] = [
    ['https://example.com/template.tar.gz'],
    ['https://bucket.s3.amazonaws.com/t.tgz?X-Amz-Signature=abc&X-Amz-Expires=60'],
    ['http://source-controller.flux-system.svc.cluster.local./gitrepository/ns/name/abc.tar.gz'],
    ['http://files.tools.svc/t.tar?version=2'],
    ['http://127.0.0.1:3000/t.tar', LOCAL],
  ];
  for (const [url, policy] of accepted) {
    it(`accepts ${url} as it is`, () => {
      expect(checkDownloadUrl(url, policy ?? STRICT).href).to.equal(url);
    });
  }

  const wrong: [string, RegExp][] = [
    ['template.tar.gz', /not an absolute URL such as .*\.tar\.gz/],
    ['oci://ghcr.io/x/y', /"oci:" is not supported; use https/],
    ['https://user:topsecret@example.com/t.tar', /user name or password/],
    ['https://example.com/t.tar?key=topsecret#part', /fragment/],
    ['https://example.com/t.tar#', /fragment/],
    ['https://example.com/t.tar?key=topsecret ', /white space/],
    ['http://example.com/t.tar?key=topsecret', /http is allowed only.*files\.NAMESPACE\.svc.*use https/],
    ['http://source-controller.flux-system.svc.evil.com./t.tar.gz', /http is allowed only/],
  ];
  for (const [url, message] of wrong) {
    it(`refuses ${JSON.stringify(url)} with a reason that holds no secret`, () => {
      const error = downloadFault(url);
      expect(error).to.be.instanceOf(OperatorError).with.property('code', 'INVALID_DOWNLOAD_URL');
      expect((error as Error).message)
        .to.match(/^The URL of the archive cannot be used: /)
        .and.to.match(message)
        .and.not.to.include('topsecret');
    });
  }

  it('refuses the same literal addresses', () => {
    for (const host of ['127.0.0.1', '169.254.169.254', '[::ffff:169.254.169.254]', '100.100.100.200']) {
      expect(downloadFault(`https://${host}/t.tar?x=1`), host).to.be.instanceOf(AddressRefusedError);
    }
  });
});

describe('checkedLookup', () => {
  type Result = { error: NodeJS.ErrnoException | null; address: string | LookupAddress[] };

  function resolved(addresses: string[], policy: HostPolicy, all = true): Promise<Result> {
    const entries = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
    const resolve = ((
      _host: string,
      options: { all: boolean },
      callback: (e: null, a: LookupAddress[]) => void,
    ) => {
      expect(options.all).to.equal(true);
      callback(null, entries);
    }) as never;
    return new Promise((done) =>
      checkedLookup(policy, resolve)('coder.example.com', { all }, (error, address) =>
        done({ error, address }),
      ),
    );
  }

  it('hands out exactly the addresses it has checked', async () => {
    const { error, address } = await resolved(['10.1.2.3', 'fd00::5'], STRICT);
    expect(error).to.equal(null);
    expect(address).to.deep.equal([
      { address: '10.1.2.3', family: 4 },
      { address: 'fd00::5', family: 6 },
    ]);
    expect((await resolved(['10.1.2.3', 'fd00::5'], STRICT, false)).address).to.equal('10.1.2.3');
  });

  for (const address of [
    '127.0.0.1',
    '::1',
    '169.254.169.254',
    '::ffff:a9fe:a9fe',
    'fe80::1',
    '0.0.0.0',
    'no address',
  ]) {
    it(`refuses a name that resolves to ${address}, also besides a good address`, async () => {
      const { error } = await resolved(['203.0.113.7', address], STRICT);
      expect(error).to.be.instanceOf(AddressRefusedError);
      expect(error?.message).to.include('coder.example.com').and.to.include(address);
    });
  }

  it('refuses a name without addresses', async () => {
    expect((await resolved([], STRICT)).error).to.be.instanceOf(AddressRefusedError);
  });

  it('allows loopback where the policy does', async () => {
    expect((await resolved(['127.0.0.1', '::1'], LOCAL)).error).to.equal(null);
  });

  it('passes on that a name is unknown', async () => {
    const unknown = Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' });
    const resolve = ((_host: string, _options: object, callback: (e: Error) => void) =>
      callback(unknown)) as never;
    const error = await new Promise((done) => checkedLookup(STRICT, resolve)('x', {}, done));
    expect(error).to.equal(unknown);
  });
});
