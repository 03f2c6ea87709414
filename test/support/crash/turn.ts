/** One turn of the event loop: whatever has arrived is taken in. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
