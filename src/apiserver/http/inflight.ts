/** Counts requests that are being answered, up to a limit. */
export class InFlight {
  readonly #limit: number;
  #count = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get count(): number {
    return this.#count;
  }

  /**
   * @param isExempt takes a place even where none is left.
   * @returns gives the place back, once; undefined when there is none.
   */
  enter(isExempt: boolean): (() => void) | undefined {
    if (this.#count >= this.#limit && !isExempt) return undefined;
    this.#count++;
    let isInside = true;
    return () => {
      if (isInside) this.#count--;
      isInside = false;
    };
  }
}
