import { expect } from 'chai';
import {
  bitString,
  integer,
  objectIdentifier,
  octetString,
  sequence,
  time,
} from '../../../../src/controller/serving/der.ts';

const hex = (bytes: Buffer): string => bytes.toString('hex');

describe('DER', () => {
  it('writes a length in as few bytes as it needs', () => {
    const head = (length: number): string => hex(octetString(Buffer.alloc(length)).subarray(0, 5));
    expect(hex(octetString(Buffer.alloc(0)))).to.equal('0400');
    expect(head(127)).to.equal('047f000000');
    expect(head(128)).to.equal('0481800000');
    expect(head(255)).to.equal('0481ff0000');
    expect(head(256)).to.equal('0482010000');
    expect(head(65_536)).to.equal('0483010000');
  });

  it('writes integers that are positive and without needless zeros', () => {
    expect(hex(integer(Buffer.of(0)))).to.equal('020100');
    expect(hex(integer(Buffer.of(0, 0, 2)))).to.equal('020102');
    expect(hex(integer(Buffer.of(0x7f)))).to.equal('02017f');
    expect(hex(integer(Buffer.of(0x80)))).to.equal('02020080');
  });

  it('writes object identifiers', () => {
    expect(hex(objectIdentifier('2.5.29.17'))).to.equal('0603551d11');
    expect(hex(objectIdentifier('1.2.840.10045.4.3.2'))).to.equal('06082a8648ce3d040302');
  });

  it('writes bits, and how many are unused', () => {
    expect(hex(bitString(Buffer.of(0x04), 2))).to.equal('03020204');
  });

  it('nests', () => {
    expect(hex(sequence(integer(Buffer.of(1)), sequence()))).to.equal('30050201013000');
  });

  it('writes years of two digits until 2049, and of four from 2050', () => {
    const text = (date: string): string => time(Date.parse(date)).subarray(2).toString();
    expect(text('2049-12-31T23:59:59.999Z')).to.equal('491231235959Z');
    expect(text('2050-01-01T00:00:00Z')).to.equal('20500101000000Z');
    expect(time(Date.parse('2049-12-31T23:59:59Z'))[0]).to.equal(0x17);
    expect(time(Date.parse('2050-01-01T00:00:00Z'))[0]).to.equal(0x18);
  });
});
