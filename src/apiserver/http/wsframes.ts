/** RFC 6455, as far as a server needs it that only sends: text, and the control frames. */

export const OPCODE = { text: 0x1, close: 0x8, ping: 0x9, pong: 0xa } as const;

/** Codes of a close frame. */
export const CLOSE_CODE = { normal: 1000, protocolError: 1002 } as const;

const FINAL = 0x80;
const RESERVED_BITS = 0x70;
const OPCODE_BITS = 0x0f;
const MASKED = 0x80;
const LENGTH_BITS = 0x7f;
const LONGEST_CONTROL_BYTES = 125;
const MASK_BYTES = 4;
const LONGEST_CONTROL_FRAME_BYTES = 2 + MASK_BYTES + LONGEST_CONTROL_BYTES;

/** A whole message in one frame. Frames of a server are not masked. */
export function frameOf(opcode: number, payload: Uint8Array): Uint8Array {
  const { byteLength } = payload;
  let head: Buffer;
  if (byteLength <= LONGEST_CONTROL_BYTES) {
    head = Buffer.from([FINAL | opcode, byteLength]);
  } else if (byteLength < 0x10000) {
    head = Buffer.from([FINAL | opcode, 126, byteLength >> 8, byteLength & 0xff]);
  } else {
    head = Buffer.alloc(10);
    head[0] = FINAL | opcode;
    head[1] = 127;
    head.writeBigUInt64BE(BigInt(byteLength), 2);
  }
  return Buffer.concat([head, payload]);
}

export function closeFrame(code: number): Uint8Array {
  return frameOf(OPCODE.close, Buffer.from([code >> 8, code & 0xff]));
}

/** What came was no WebSocket's. */
export class ProtocolError extends Error {}

/**
 * Takes apart what a client sends. Messages are thrown away as they come, whatever their length; control frames are
 * told. It never holds more than one control frame and the head of another.
 */
export class FrameReader {
  readonly #onControl: (opcode: number, payload: Uint8Array) => void;
  /** The head of a frame, and the payload of a control frame, until they are complete. */
  #pending = Buffer.alloc(0);
  /** What is still to come of a message's frame. */
  #toSkip = 0;

  constructor(onControl: (opcode: number, payload: Uint8Array) => void) {
    this.#onControl = onControl;
  }

  /** @throws ProtocolError */
  push(chunk: Uint8Array): void {
    let rest = chunk;
    while (rest.byteLength > 0) {
      const skipped = Math.min(this.#toSkip, rest.byteLength);
      this.#toSkip -= skipped;
      rest = this.#frame(rest.subarray(skipped));
    }
  }

  /** Takes as much as a frame needs; answers what is left. */
  #frame(bytes: Uint8Array): Uint8Array {
    const before = this.#pending.byteLength;
    const start = bytes.subarray(0, LONGEST_CONTROL_FRAME_BYTES);
    const head = Buffer.concat([this.#pending, start]);
    const frame = headOf(head);
    if (frame === undefined || (frame.isControl && head.byteLength < frame.headBytes + frame.length)) {
      this.#pending = head;
      return bytes.subarray(start.byteLength);
    }
    this.#pending = Buffer.alloc(0);
    const end = frame.headBytes + (frame.isControl ? frame.length : 0);
    if (frame.isControl) {
      const mask = head.subarray(frame.headBytes - MASK_BYTES, frame.headBytes);
      const payload = head.subarray(frame.headBytes, end);
      this.#onControl(
        frame.opcode,
        payload.map((byte, i) => byte ^ (mask[i % MASK_BYTES] ?? 0)),
      );
    } else {
      this.#toSkip = frame.length;
    }
    return bytes.subarray(end - before);
  }
}

interface FrameHead {
  readonly opcode: number;
  readonly isControl: boolean;
  readonly headBytes: number;
  readonly length: number;
}

/** Undefined while too little of it is there. */
function headOf(bytes: Buffer): FrameHead | undefined {
  if (bytes.byteLength < 2) return undefined;
  const first = bytes.readUInt8(0);
  const second = bytes.readUInt8(1);
  const opcode = first & OPCODE_BITS;
  const isControl = opcode >= OPCODE.close;
  const short = second & LENGTH_BITS;
  if ((first & RESERVED_BITS) !== 0) throw new ProtocolError('an extension that was not agreed on');
  if (opcode > OPCODE.pong || (opcode > 2 && opcode < OPCODE.close))
    throw new ProtocolError('unknown opcode');
  if ((second & MASKED) === 0) throw new ProtocolError('a frame of a client that is not masked');
  if (isControl && (short > LONGEST_CONTROL_BYTES || (first & FINAL) === 0)) {
    throw new ProtocolError('a control frame that is too long or in parts');
  }
  const lengthBytes = short === 127 ? 8 : short === 126 ? 2 : 0;
  const headBytes = 2 + lengthBytes + MASK_BYTES;
  if (bytes.byteLength < headBytes) return undefined;
  if (lengthBytes === 0) return { opcode, isControl, headBytes, length: short };
  const length = lengthBytes === 2 ? BigInt(bytes.readUInt16BE(2)) : bytes.readBigUInt64BE(2);
  if (length > BigInt(Number.MAX_SAFE_INTEGER)) throw new ProtocolError('a frame of impossible length');
  return { opcode, isControl, headBytes, length: Number(length) };
}
