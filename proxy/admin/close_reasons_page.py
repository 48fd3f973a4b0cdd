"""The page that lists why flows end, and what to do about it.

Pure. Invariant: every reason has its place, which `#reason` leads to.
"""

from html import escape

from proxy.dataplane.close_reason import CloseReason

PATH = "/close-reasons"

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>Close reasons - svcproxy</title>
  <link rel="icon" href="page/icon.svg" type="image/svg+xml">
  <link rel="stylesheet" href="page/page.css">
  <script src="page/theme.js"></script>
</head>
<body class="text">
  <header class="top">
    <div class="brand">
      <img src="page/icon.svg" width="28" height="28" alt="">
      <h1>Why connections and flows end</h1>
    </div>
    <p><a href="./">Services</a></p>
  </header>
  <main class="card">
    <p>The reason stands in the access log (<code>--access-log</code>) and in <code>/metrics</code>, as the label
    <code>reason</code>. <code>svcproxy explain reason NAME</code> says the same on the command line.</p>
    <table>
      <thead><tr><th scope="col">Reason</th><th scope="col">What to do</th></tr></thead>
      <tbody>
{rows}
      </tbody>
    </table>
  </main>
</body>
</html>
"""


def close_reasons_page() -> str:
    """The page in HTML."""
    return _PAGE.format(rows="\n".join(map(_row, CloseReason)))


def _row(reason: CloseReason) -> str:
    name = escape(reason.value)
    return f'        <tr id="{name}"><th scope="row"><code>{name}</code></th><td>{escape(reason.advice)}</td></tr>'
