// Byte counts for people. Decimal units, as disks and the hub use them.

const UNITS = ["B", "KB", "MB", "GB", "TB", "PB"] as const;

/** 0 B, 999 B, 1.5 KB, 206.1 GB: at most one decimal, three or four significant digits. */
export function formatSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  // 999.95 would print as 1000.0.
  while (Math.abs(value) >= 999.95 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return unit === 0 ? `${value} B` : `${value.toFixed(1)} ${UNITS[unit]}`;
}

/** 1.2 GB/s */
export function formatRate(bytesPerSecond: number): string {
  return `${formatSize(Math.round(bytesPerSecond))}/s`;
}

const MEMORY_UNITS = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

/** Memory in binary units, as --memory takes it: 4 GiB, 1.5 GiB, 192 MiB. */
export function formatMemory(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < MEMORY_UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${Number(value.toFixed(1))} ${MEMORY_UNITS[unit]}`;
}
