import { systemClock } from '../base/clock.ts';
import type { ExportConfig } from '../config/export.ts';
import { runExport } from '../export/run.ts';
import { stopSignal } from './signals.ts';

/** `coder-operator export`. @returns the exit code. */
export function exportAll(config: ExportConfig): Promise<number> {
  const { stdout, stderr } = process;
  return runExport(config, { clock: systemClock, stdout, stderr, signal: stopSignal() });
}
