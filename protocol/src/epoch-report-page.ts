import type { Leaderboard, LeaderboardRow } from "./leaderboard.ts";
import { formatMor } from "./mor.ts";

/**
 * A report as one HTML page that needs nothing else: plots are drawn in it, and no script runs.
 * The same leaderboard gives the same bytes everywhere.
 */
export function epochReportPage(board: Leaderboard): string {
  const { fromEpoch, toEpoch } = board;
  const span = fromEpoch === toEpoch ? `epoch ${toEpoch}` : `epochs ${fromEpoch} to ${toEpoch}`;
  return [
    `<!doctype html><html lang="en"><head><meta charset="utf-8">`,
    `<meta name="viewport" content="width=device-width">`,
    `<title>Lake Travis, ${span}</title><style>${styles}</style></head><body>`,
    `<h1>Lake Travis, ${span}</h1>`,
    `<p>Computed from the public Records alone; anybody can compute it again. `,
    `${board.suppressed} rows of few Users are left out.</p>`,
    section("Models", board.models),
    unmetSection(board),
    section("Providers", board.providers),
    section("Builders", board.builders),
    `</body></html>\n`,
  ].join("");
}

/** Rows of a table; the CSV has all. */
const rowsShown = 100;
const barsShown = 12;

const styles =
  "body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}" +
  "table{border-collapse:collapse;width:100%}td,th{padding:.2rem .6rem;text-align:right;" +
  "border-bottom:1px solid #ddd}td:first-child,th:first-child{text-align:left;" +
  "font-family:ui-monospace,monospace}svg{width:100%;height:auto}";

function section(title: string, rows: readonly LeaderboardRow[]): string {
  if (rows.length === 0) return `<h2>${title}</h2><p>None to show.</p>`;
  const heads = [
    ...["Name", "Sessions", "Requests", "Seconds", "MOR", "Share", "Growth"],
    ...["MOR/h p10–p50–p90", "Tokens/s p10–p50–p90", "Speed kept", "Passed", "Stayed"],
  ];
  const body = rows.slice(0, rowsShown).map((row) => `<tr>${cells(row).join("")}</tr>`);
  return [
    `<h2>${title}</h2>`,
    bars(`Seconds of ${title.toLowerCase()}`, rows),
    `<table><thead><tr>${heads.map((head) => `<th>${head}</th>`).join("")}</tr></thead>`,
    `<tbody>${body.join("")}</tbody></table>`,
  ].join("");
}

function cells(row: LeaderboardRow): string[] {
  const { price, milliTps, keptPerMille, growthPerMille } = row;
  const hourly = [price.p10, price.p50, price.p90].map((wei) => morPerHour(wei)).join("–");
  const speed = [milliTps.p10, milliTps.p50, milliTps.p90].map((milli) =>
    (milli / 1000).toFixed(1),
  );
  const growth = growthPerMille === null ? "new" : percent(growthPerMille);
  return [
    row.name,
    ...[row.sessions, row.requests, row.seconds].map((value) => value.toLocaleString("en-US")),
    formatMor(BigInt(row.wei)),
    percent(row.sharePerMille),
    growth,
    hourly,
    speed.join("–"),
    percent(keptPerMille.p50),
    percent(row.passPerMille),
    percent(row.uptimePerMille),
  ].map((text) => `<td>${escaped(text)}</td>`);
}

function unmetSection({ unmet }: Leaderboard): string {
  if (unmet.length === 0) return "<h2>Unmet demand</h2><p>None to show.</p>";
  const rows = unmet.slice(0, rowsShown).map(({ model, asked, unserved, offeredWei }) => {
    const texts = [model, `${asked}`, `${unserved}`, morPerHour(Number(offeredWei))];
    return `<tr>${texts.map((text) => `<td>${escaped(text)}</td>`).join("")}</tr>`;
  });
  const head =
    "<th>Model</th><th>Users who asked</th><th>in vain</th><th>offering up to MOR/h</th>";
  const body = `<tbody>${rows.join("")}</tbody>`;
  return `<h2>Unmet demand</h2><table><thead><tr>${head}</tr></thead>${body}</table>`;
}

/** Bars of the largest rows, drawn to scale. */
function bars(label: string, rows: readonly LeaderboardRow[]): string {
  const shown = rows.slice(0, barsShown);
  const most = Math.max(1, ...shown.map(({ seconds }) => seconds));
  const lines = shown.map(({ name, seconds }, index) => {
    const y = index * 22;
    const width = Math.round((seconds * 560) / most);
    const text = escaped(name.length > 32 ? `${name.slice(0, 31)}…` : name);
    return (
      `<text x="230" y="${y + 15}" text-anchor="end" font-size="12">${text}</text>` +
      `<rect x="240" y="${y + 3}" width="${width}" height="16" fill="#2a6f97"></rect>`
    );
  });
  const box = `0 0 820 ${shown.length * 22}`;
  return `<svg role="img" aria-label="${label}" viewBox="${box}">${lines.join("")}</svg>`;
}

function morPerHour(weiPerSecond: number): string {
  return ((weiPerSecond * 3600) / 1e18).toPrecision(3);
}

function percent(perMille: number): string {
  return `${(perMille / 10).toFixed(1)}%`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}
