"""The page of a training report: a jinja2 template, without scripts and without anything to load.

(a) Colours are variables, for light and dark pages; pictures take theirs from ``currentColor``. Text has a contrast of
    at least 4.5 in both.
(b) Nothing is wider than the page: what may be, tables, scrolls by itself and can be reached with the keyboard.
(c) Every value is escaped by jinja2; pictures and tables that are markup already are marked as such by `report`.
"""

LIGHT = {"page": "#ffffff", "text": "#1b1f24", "soft": "#545d68", "card": "#f3f5f7", "line": "#8b949e",
         "error": "#a4161f", "warning": "#7a4a00", "note": "#0b5394"}  # fmt: skip
DARK = {"page": "#14171b", "text": "#e8eaed", "soft": "#aab2bb", "card": "#1f242a", "line": "#6b7480",
        "error": "#ff9a96", "warning": "#f2b85c", "note": "#8ec2ff"}  # fmt: skip


def _variables(colours):
    return " ".join(f"--{name}: {colour};" for name, colour in colours.items())


STYLE = f"""
:root {{ color-scheme: light dark; {_variables(LIGHT)} }}
@media (prefers-color-scheme: dark) {{ :root {{ {_variables(DARK)} }} }}
""" + """
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 1rem/1.5 system-ui, sans-serif;
       overflow-wrap: break-word; }
header, main, footer { max-width: 68rem; margin: 0 auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 1.5rem 0 .5rem; }
h2 { font-size: 1.25rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 0 0 .4rem; }
p { margin: .4rem 0; max-width: 44rem; }
nav ul { list-style: none; padding: 0; margin: .6rem 0; display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; }
a { color: var(--note); }
footer { color: var(--soft); font-size: .85rem; padding-top: 2rem; padding-bottom: 2rem; }
.finding { background: var(--card); border-left: .35rem solid var(--line); padding: .8rem 1rem; margin: .8rem 0; }
.finding.error { border-color: var(--error); } .finding.error .severity { color: var(--error); }
.finding.warning { border-color: var(--warning); } .finding.warning .severity { color: var(--warning); }
.finding.note { border-color: var(--note); } .finding.note .severity { color: var(--note); }
.severity { text-transform: uppercase; font-size: .8em; letter-spacing: .04em; }
.soft { color: var(--soft); font-size: .9rem; }
dl { display: grid; grid-template-columns: minmax(5rem, max-content) minmax(0, 1fr); gap: .15rem .9rem;
     margin: .5rem 0; }
dt { color: var(--soft); } dd { margin: 0; min-width: 0; }
.scroll { overflow-x: auto; max-width: 100%; margin: .6rem 0; }
.scroll:focus-visible, a:focus-visible { outline: 2px solid var(--note); outline-offset: 2px; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding-bottom: .3rem; }
th, td { padding: .15rem .7rem .15rem 0; text-align: left; vertical-align: top; }
tbody th { font-weight: 600; } td { white-space: nowrap; } tfoot td { white-space: normal; color: var(--soft); }
thead th { white-space: nowrap; padding-right: 1rem; }
thead { border-bottom: 1px solid var(--line); }
figure { margin: .8rem 0; min-width: 0; } figcaption { font-size: .9rem; color: var(--soft); max-width: 44rem; }
figure svg { display: block; width: 100%; height: auto; color: var(--text); }
.maps { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 30rem), 1fr)); gap: .4rem 1.2rem; }
.maps svg { max-width: 40rem; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 17.5rem), 1fr)); gap: .4rem 1.2rem; }
svg * { stroke-linejoin: round; stroke-linecap: butt; }
svg [id*="QuadMesh"] path { shape-rendering: crispEdges; }
@media print { .finding, figure { break-inside: avoid; } }
"""

TEMPLATE = """\
{%- macro picture(drawn) -%}
<figure>
{{ drawn.svg }}
{% if drawn.caption %}<figcaption>{{ drawn.caption }}</figcaption>{% endif %}
</figure>
{%- endmacro -%}
{%- macro wide(table, label) -%}
<div class="scroll" role="region" tabindex="0" aria-label="{{ label }}">
{{ table }}
</div>
{%- endmacro -%}
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>{{ style }}</style>
</head>
<body>
<header>
<h1>{{ title }}</h1>
<p>{{ summary }}</p>
<nav aria-label="Sections">
<ul>
<li><a href="#findings">Findings</a></li>
{% if curves %}<li><a href="#curves">Curves</a></li>
{% endif %}{% if maps %}<li><a href="#gradients">Gradients</a></li>
{% endif %}{% if table %}<li><a href="#layers">Layers</a></li>
{% endif %}<li><a href="#model">Model</a></li>
</ul>
</nav>
</header>
<main>
<section id="findings" aria-labelledby="h-findings">
<h2 id="h-findings">Findings and what to do</h2>
{% for finding in findings %}
<article class="finding {{ finding.severity }}">
<h3><span class="severity">{{ finding.severity }}</span>: {{ finding.title }}
{%- if finding.layer is not none %} in layer {{ finding.layer }}{% endif %}</h3>
<p>{{ finding.message }}</p>
<dl>
{% if finding.fix %}<dt>What to do</dt><dd><strong>{{ finding.fix }}</strong></dd>
{% endif %}{% if finding.why %}<dt>Why</dt><dd>{{ finding.why }}</dd>
{% endif %}{% for name, value in finding.evidence %}<dt>{{ name }}</dt><dd>{{ value }}</dd>
{% endfor %}{% if finding.reference %}<dt>Reference</dt><dd>{{ finding.reference }}</dd>
{% endif %}<dt>Code</dt><dd>{{ finding.code }}</dd>
</dl>
</article>
{% else %}
<p>No findings.</p>
{% endfor %}
</section>
{% if curves %}
<section id="curves" aria-labelledby="h-curves">
<h2 id="h-curves">Loss and metrics</h2>
<div class="grid">
{% for drawn in curves %}
{{ picture(drawn) }}
{% endfor %}
</div>
{{ wide(results, "Loss and metrics") }}
</section>
{% endif %}
{% if maps %}
<section id="gradients" aria-labelledby="h-gradients">
<h2 id="h-gradients">Gradients by layer and epoch</h2>
<div class="maps">
{% for drawn in maps %}
{{ picture(drawn) }}
{% endfor %}
</div>
</section>
{% endif %}
{% if table %}
<section id="layers" aria-labelledby="h-layers">
<h2 id="h-layers">Health of the layers</h2>
{{ wide(table, "Health of the layers") }}
{% for note in notes %}
<p class="soft">{{ note }}</p>
{% endfor %}
{% if panels %}
<div class="grid">
{% for drawn in panels %}
{{ picture(drawn) }}
{% endfor %}
</div>
{% endif %}
</section>
{% endif %}
<section id="model" aria-labelledby="h-model">
<h2 id="h-model">Model</h2>
{% if summary_table %}
{{ wide(summary_table, "Layers of the model") }}
<h3>Compiled and trained with</h3>
<dl>
{% for name, value in settings %}<dt>{{ name }}</dt><dd>{{ value }}</dd>
{% endfor %}
</dl>
{% else %}
<p>The model no longer exists, so its layers cannot be listed.</p>
{% endif %}
</section>
</main>
<footer>{{ foot }}</footer>
</body>
</html>
"""
