import { expect } from 'chai';
import fc from 'fast-check';
import {
  closeFrame,
  FrameReader,
  frameOf,
  OPCODE,
  ProtocolError,
} from '../../../../src/apiserver/http/wsframes.ts';

/** A frame as a client sends it. */
function masked(opcode: number, payload: Uint8Array, final = true): Buffer {
  const mask = Buffer.from([1, 2, 3, 250]);
  const frame = Buffer.from(frameOf(opcode, payload));
  const headBytes = frame.byteLength - payload.byteLength;
  const head = Buffer.from(frame.subarray(0, headBytes));
  head[0] = (final ? 0x80 : 0) | opcode;
  head[1] = (head[1] ?? 0) | 0x80;
  return Buffer.concat([head, mask, payload.map((byte, i) => byte ^ (mask[i % 4] ?? 0))]);
}

type Control = readonly [opcode: number, payload: string];

function controlsOf(chunks: readonly Uint8Array[]): Control[] {
  const controls: Control[] = [];
  const reader = new FrameReader((opcode, payload) => {
    controls.push([opcode, Buffer.from(payload).toString('latin1')]);
  });
  for (const chunk of chunks) reader.push(chunk);
  return controls;
}

describe('WebSocket frames', () => {
  it('of a server have the shortest head that their length allows', () => {
    const heads = [0, 125, 126, 65535, 65536].map((length) => {
      const frame = frameOf(OPCODE.text, Buffer.alloc(length));
      return Buffer.from(frame.subarray(0, frame.byteLength - length)).toString('hex');
    });
    expect(heads).to.deep.equal(['8100', '817d', '817e007e', '817effff', '817f0000000000010000']);
    expect(Buffer.from(closeFrame(1000)).toString('hex')).to.equal('880203e8');
  });

  it('of a client are told when they control, however they are cut', () => {
    const sent = fc.record({
      opcode: fc.constantFrom(0, 1, 2, OPCODE.close, OPCODE.ping, OPCODE.pong),
      length: fc.constantFrom(0, 1, 5, 125, 126, 300, 70_000),
    });
    fc.assert(
      fc.property(fc.array(sent, { maxLength: 8 }), fc.integer({ min: 1, max: 200 }), (frames, size) => {
        const expected: Control[] = [];
        const bytes = Buffer.concat(
          frames.map(({ opcode, length }, i) => {
            const isControl = opcode >= OPCODE.close;
            const payload = Buffer.alloc(isControl ? Math.min(length, 125) : length, `${i}`);
            if (isControl) expected.push([opcode, payload.toString('latin1')]);
            return masked(opcode, payload, isControl || i % 2 === 0);
          }),
        );
        const chunks: Buffer[] = [];
        for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size));
        expect(controlsOf(chunks)).to.deep.equal(expected);
      }),
      { numRuns: 40 },
    );
  });

  it('of gigabytes are skipped without being kept', () => {
    const head = Buffer.from([0x82, 0xff, 0, 0, 0, 2, 0, 0, 0, 0, 9, 9, 9, 9]);
    const reader = new FrameReader(() => expect.fail('nothing was to be told'));
    reader.push(head);
    const chunk = Buffer.alloc(1024 * 1024);
    for (let i = 0; i < 100; i++) reader.push(chunk);
  });

  const faults: readonly (readonly [string, string])[] = [
    ['one that is not masked', '8105'],
    ['an extension', 'c185'],
    ['an unknown opcode', '8385'],
    ['an unknown control opcode', '8b80'],
    ['a control frame in parts', '0980'],
    ['a control frame that is too long', '89fe'],
    ['an impossible length', '81ffffffffffffffffff00000000'],
  ];
  for (const [what, hex] of faults) {
    it(`refuses ${what}`, () => {
      expect(() => controlsOf([Buffer.from(hex, 'hex')])).to.throw(ProtocolError);
    });
  }
});
