"""The template and the style sheet of the HTML page."""

from __future__ import annotations

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #1d2126; --muted: #545c66; --faint: #a4adb8; --line: #d5dae0; --panel: #f4f6f8;
  --passed: #136c32; --failed: #b3121f; --float64: #0a5cab; --float32: #a04a00;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171a; --ink: #e7eaee; --muted: #a9b2bd; --faint: #69737f; --line: #363d46; --panel: #1d2126;
    --passed: #5fd183; --failed: #ff8087; --float64: #79b8ff; --float32: #f5a65b;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 1rem; max-width: 66rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: break-word;
}
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0.5rem 0; }
h2 { font-size: 1.3rem; line-height: 1.3; margin: 0 0 0.25rem; }
h3 { font-size: 1.05rem; margin: 1.5rem 0 0.5rem; }
p { margin: 0.5rem 0; max-width: 46rem; }
a { color: inherit; }
section { border-top: 2px solid var(--line); margin-top: 2.5rem; padding-top: 1.25rem; }
code, pre { font: 0.875rem/1.45 ui-monospace, monospace; }
pre { background: var(--panel); border: 1px solid var(--line); border-radius: 4px; padding: 0.6rem 0.75rem;
  margin: 0.5rem 0; white-space: pre-wrap; }
pre span { display: inline-block; max-width: 100%; }
.muted { color: var(--muted); }
.verdict { display: inline-block; font-weight: 600; white-space: nowrap; border: 1.5px solid; border-radius: 4px;
  padding: 0 0.45rem; }
.passed { color: var(--passed); }
.failed { color: var(--failed); border-width: 2.5px; }
.part { color: var(--ink); }
.notrun { color: var(--muted); border-style: dashed; }
.problems { border-left: 4px solid var(--failed); padding-left: 0.75rem; margin: 0.75rem 0; }
.problems ul { margin: 0.25rem 0; padding-left: 1.2rem; }
figure { margin: 1rem 0; }
figcaption { color: var(--muted); font-size: 0.9rem; }
svg { display: block; width: 100%; height: auto; font-family: system-ui, sans-serif; }
svg * { stroke-linejoin: round; stroke-linecap: butt; }
.narrow { display: none; }
.scroll { overflow-x: auto; margin-top: 1rem; }
table { border-collapse: collapse; width: 100%; font-size: 0.9375rem; }
caption { text-align: left; font-weight: 600; padding: 0.25rem 0; }
th, td { text-align: left; vertical-align: top; padding: 0.35rem 0.75rem 0.35rem 0;
  border-bottom: 1px solid var(--line); }
td, li, pre { overflow-wrap: anywhere; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
tbody th { font-weight: 600; min-width: 8.5rem; overflow-wrap: anywhere; }
details { margin: 0.75rem 0; border: 1px solid var(--line); border-radius: 4px; padding: 0.4rem 0.75rem; }
summary { cursor: pointer; font-weight: 600; }
details table { margin-bottom: 0.75rem; }
@media (max-width: 44rem) {
  .wide { display: none; }
  .narrow { display: block; }
  .stacked thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .stacked tbody, .stacked th, .stacked td, .stacked caption { display: block; }
  .stacked { display: block; }
  .stacked tr { display: flex; flex-wrap: wrap; align-items: baseline; column-gap: 0.75rem;
    border-bottom: 1px solid var(--line); padding: 0.5rem 0; }
  .stacked th, .stacked td { border: 0; padding: 0.1rem 0; flex: 0 1 100%; }
  .stacked th[role=rowheader] { flex-basis: 55%; min-width: 0; overflow-wrap: anywhere; }
  .stacked td.number { text-align: left; flex-basis: auto; }
  .stacked td:has(.verdict), .short td { flex-basis: auto; }
  .short th[role=rowheader] { flex-basis: 100%; }
  .stacked td[data-label]::before { content: attr(data-label) ": "; color: var(--muted); }
  .stacked td:has(.verdict)::before { content: none; }
}
@media print { .wide { display: block; } .narrow { display: none; } }
"""

TEMPLATE = """
{%- macro badge(verdict) -%}
<span class="verdict {{ verdict.kind }}">{{ verdict.mark }} {{ verdict.text }}</span>
{%- endmacro -%}
{%- macro shell(command) -%}
<pre><code>{% for word in command.split(" ") %}<span>{{ word }}</span> {% endfor %}</code></pre>
{%- endmacro -%}
{%- macro figure(chart) -%}
<figure class="chart">
<div class="wide">{{ chart.wide }}</div>
<div class="narrow">{{ chart.narrow }}</div>
<figcaption>{{ chart.summary }}. Points are differences, dashed lines their limits. {{ chart.note }}</figcaption>
</figure>
{%- endmacro -%}
{%- macro table(caption, headings, rows, numbers=(), short=false) -%}
<div class="scroll"><table class="stacked{% if short %} short{% endif %}" role="table">
<caption>{{ caption }}</caption>
<thead role="rowgroup"><tr role="row">
{%- for heading in headings %}
<th scope="col" role="columnheader"{% if loop.index0 in numbers %} class="number"{% endif %}>{{ heading }}</th>
{%- endfor %}
</tr></thead>
<tbody role="rowgroup">
{%- for row in rows %}
<tr role="row">
{%- for cell in row %}
{%- if loop.first %}
<th scope="row" role="rowheader">{{ cell }}</th>
{%- else %}
<td role="cell"{% if loop.index0 in numbers %} class="number"{% endif %} data-label="{{ headings[loop.index0] }}">
{{- cell -}}
</td>
{%- endif %}
{%- endfor %}
</tr>
{%- endfor %}
</tbody>
</table></div>
{%- endmacro -%}
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ headline }} · paddle2torch</title>
<style>{{ style }}</style>
</head>
<body>
<header>
<h1>{{ headline }}</h1>
<p>{{ badge(verdict) }} {{ weights }}</p>
{%- for text in named %}
<p>{{ text }}</p>
{%- endfor %}
<p class="muted">{{ tool }}, {{ date }}</p>
</header>
<main>
<div class="scroll"><table class="stacked" role="table" id="verdicts">
<caption>Verdicts</caption>
<thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">model</th>
<th scope="col" role="columnheader">verdict</th><th scope="col" role="columnheader">checks</th>
<th scope="col" role="columnheader" class="number">worst float64</th>
<th scope="col" role="columnheader" class="number">worst float32</th>
<th scope="col" role="columnheader" class="number">seconds</th></tr></thead>
<tbody role="rowgroup">
{%- for model in models %}
<tr role="row"><th scope="row" role="rowheader"><a href="#{{ model.id }}">{{ model.name }}</a></th>
<td role="cell">{{ badge(model.verdict) }}</td>
<td role="cell" data-label="checks">{{ model.tally }}</td>
<td role="cell" data-label="float64" class="number">{{ model.worst64 }}</td>
<td role="cell" data-label="float32" class="number">{{ model.worst32 }}</td>
<td role="cell" data-label="seconds" class="number">{{ model.seconds }}</td></tr>
{%- endfor %}
</tbody></table></div>
<p class="muted">Worst values are differences between Paddle's side and transformers on the same inputs, over the
largest value of the state they were found in. A dash means: not run.</p>
{%- if command %}
<h3>Repeat this run</h3>
{{ shell(command) }}
{%- endif %}
{%- if faults %}
<section id="faults">
<h2>Faults injected on purpose</h2>
<p>{{ caught }}. A verifier that lets a fault pass proves nothing: an escaped one is a failure. One that has no place in
a model, or changes nothing in it, is not injected.</p>
{{ table("Faults", ["fault", "model", "caught by", "where"], faults) }}
</section>
{%- endif %}
{%- for model in models %}
<section id="{{ model.id }}" class="model">
<h2>{{ model.name }}</h2>
<p>{{ badge(model.verdict) }} {{ model.tally }}</p>
{%- if model.error %}
<div class="problems"><p>This model could not be run. Nothing about it is proven.</p>
<pre>{{ model.error }}</pre></div>
{%- endif %}
{%- if model.facts %}
<p class="muted">{{ model.facts }}</p>
{%- endif %}
{%- for line in model.said %}
<p>{{ line }}</p>
{%- endfor %}
{%- for problem in model.problems %}
<div class="problems"><p><strong>{{ problem.check }}</strong>: {{ problem.where }}</p>
{%- if problem.first %}
<ul>{% for text in problem.first %}<li>{{ text }}</li>{% endfor %}</ul>
{%- endif %}
{%- if problem.rest %}
<details><summary>{{ problem.rest|length }} more</summary>
<ul>{% for text in problem.rest %}<li>{{ text }}</li>{% endfor %}</ul></details>
{%- endif %}
{%- if problem.next %}
<p>Next: {% for piece in problem.next %}{% if loop.index0 % 2 %}<code>{{ piece }}</code>{% else %}{{ piece }}{% endif %}
{%- endfor %}.</p>
{%- endif %}</div>
{%- endfor %}
{%- for chart in model.charts if chart.main %}
<h3>{{ chart.title }}</h3>
{{ figure(chart) }}
{%- endfor %}
{%- if model.report and not model.charts %}
<p class="muted">No chart: no check that compares layers was run.</p>
{%- endif %}
{%- if model.checks %}
{{ table("Checks", ["check", "verdict", "worst", "limit", "where", "measure"], model.checks, (2, 3)) }}
{%- endif %}
{%- for entry in model.coverage %}
{{ table(entry.caption, entry.headings, entry.rows, entry.numbers, entry.short) }}
{%- endfor %}
{%- if model.declared %}
<h3>Known differences between the frameworks</h3>
{{ table("Declared differences, with their size on these inputs", ["name", "size", "what"], model.declared, (1,)) }}
{%- endif %}
{%- for chart in model.charts if not chart.main %}
<details><summary>{{ chart.title }}: chart</summary>
{{ figure(chart) }}
</details>
{%- endfor %}
{%- for part in model.parts %}
<details><summary>{{ part.title }}</summary>
{%- for entry in part.tables %}
{{ table(entry.caption, entry.headings, entry.rows, entry.numbers, entry.short) }}
{%- endfor %}
{%- for text in part.texts %}
{{ shell(text) }}
{%- endfor %}
</details>
{%- endfor %}
</section>
{%- endfor %}
</main>
</body>
</html>
"""
