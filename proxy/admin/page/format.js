// Numbers, times and addresses as people read them.

const SIZES = ["B", "kB", "MB", "GB", "TB"];
const whole = new Intl.NumberFormat("en");

export const count = (number) => whole.format(number);

export function rate(number) {
  if (number < 0.05) return "0";
  return number < 10 ? number.toFixed(1) : count(Math.round(number));
}

export function bytes(number) {
  let size = 0;
  while (number >= 999.5 && size < SIZES.length - 1) {
    number /= 1000;
    size += 1;
  }
  return `${number < 9.95 && size ? number.toFixed(1) : Math.round(number)} ${SIZES[size]}`;
}

export const percent = (share) => `${Math.round(share * 100)} %`;

export const place = (address, port) => (address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`);

export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

// 45s, 3m, 2h, 5d.
export function duration(seconds) {
  if (seconds < 0) return "0s";
  if (seconds < 120) return `${Math.floor(seconds)}s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86400)}d`;
}

export const clock = (time) => new Date(time).toLocaleTimeString([], { hour12: false });
