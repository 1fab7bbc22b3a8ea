"""The site: `make site`. mkdocs.yml names this file as its hooks; run by itself it builds the pages, follows every link
in them and opens some in Chromium. Nothing is executed: the stored outputs are shown. Nothing comes from a network,
formulas are MathML."""
import base64, html, os, re, shutil, subprocess, sys, tempfile, time
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT/'.ci'))
import reference
from readme import shown

# Each folder of the library is a part of the tab API
FOLDERS = {'data': 'From an image file to a table of cases', 'phantom': 'Synthetic radiographs and lesions',
           'models': 'Encoder, memory bank, scorers, objectives, both methods, recipes',
           'evaluate': 'Figures with their intervals, thresholds, the protocol', 'deploy': 'Export, bench',
           'report': 'Figures, model card, HTML page, run folders', 'cli': 'One notebook a command: parse, call, print'}
PAGES = {'README.md': 'index.md', 'CONTRIBUTING.md': 'CONTRIBUTING.md', 'CHANGELOG.md': 'CHANGELOG.md',
         'SECURITY.md': 'SECURITY.md', 'data/README.md': 'data.md'}
# A few pages, for a test that is quick: names of them in this variable
ONLY = 'SWSSL_NB_SITE_PAGES'
PICTURES = ('.png', '.jpg', '.jpeg', '.svg', '.gif')
STYLE = """
.md-grid {max-width: 76rem}
.md-typeset pre > code {font-size: .6rem}
.output {margin: -.6em 0 1.4em; padding-left: .8rem; border-left: .1rem solid var(--md-default-fg-color--lightest)}
.output > pre {overflow-x: auto; font-size: .6rem; line-height: 1.4; margin: .4em 0; padding-bottom: .6em}
.output img {max-width: 100%; height: auto; display: block; background: #fff}
.output .md-typeset__scrollwrap {margin: 0}
.md-typeset .output table:not([class]) {font-size: .6rem}
.md-typeset .output table:not([class]) :is(th, td) {padding: .4em .8em; min-width: 0}
.md-typeset table:not([class]) :is(th, td) code {white-space: nowrap}
math {font-size: 1.05em; max-width: 100%}
math[display="block"] {overflow-x: auto; overflow-y: hidden}
"""
KEPT = [] # HTML that Markdown shall not touch, each behind a mark of two private characters


def keep(text): KEPT.append(text); return f'\ue000{len(KEPT) - 1}\ue001'


def kept_back(text):
    "The HTML that `keep` took out, where its marks are"
    return re.sub(r'<p>\ue000(\d+)\ue001</p>|\ue000(\d+)\ue001', lambda m: KEPT[int(m[1] or m[2])], text)


# --- formulas and links

def mathml(match):
    "A formula of TeX as MathML"
    from latex2mathml.converter import convert
    return keep(convert(match[1] or match[2], display='block' if match[1] else 'inline'))


CODE = r'(```.*?```|`[^`\n]*`)'
FORMULA = re.compile(r'\$\$(.+?)\$\$|(?<![\w\\])\$([^\s$](?:[^$]*[^\s$])?)\$(?!\d)', re.S)


def outside_code(change, text):
    "`change` of the parts of a text that are no code"
    return ''.join(o if i % 2 else change(o) for i, o in enumerate(re.split(CODE, text, flags=re.S)))


def for_mkdocs(text):
    "GitHub takes a list without an empty line before it, and three spaces for what belongs to an item; mkdocs does not"
    def change(o): return re.sub(r'^(?![ \t]|[-*+] |\d+\. )(.+)\n(?=(?:[-*+]|1\.) )', r'\1\n\n', o, flags=re.M)
    def after_item(o): return re.sub(r'^( {3}.*\S)\n(?=\d+\. )', r'\1\n\n', change(o), flags=re.M)
    text = ''.join(o if i % 2 else after_item(o) for i, o in enumerate(re.split(r'(```.*?```)', text, flags=re.S)))
    return re.sub(r'^ {3}(?=\S)', '    ', text, flags=re.M)


def slug(mark):
    "The id that mkdocs gives a heading, from the one of Jupyter (`#The-recipes`) or of GitHub (`#the-recipes`)"
    return re.sub(r'[-\s]+', '-', re.sub(r'[^\w\s-]', '', unquote(mark)).strip().lower())


class Pages:
    "The files of the project that become pages, and where links between them lead"
    def __init__(self, folder, blob, only=()):
        self.folder = Path(folder) # that mkdocs will read
        self.blob = blob # the repository's address
        found = sorted(o.relative_to(ROOT).as_posix() for o in (ROOT/'nbs').rglob('*.ipynb'))
        found = [o for o in found if o != 'nbs/index.ipynb' and '.ipynb_checkpoints' not in o]
        every = {**PAGES, **{o: o.replace('.ipynb', '.md') for o in found}}
        self.place = {k: v for k, v in every.items() if not only or v == 'index.md' or any(o in k for o in only)}
        self.missing = []

    def link(self, link, path):
        "Where a link of the file `path` leads: a page, a picture that is copied, or the repository for any other file"
        place, mark = urldefrag(link)
        if re.match(r'\w+:|/', link): return link
        if not place: return f'#{slug(mark)}'
        file = os.path.normpath(Path(path).parent/unquote(place)).replace(os.sep, '/')
        file = 'README.md' if file == 'nbs/index.ipynb' else file
        if not (ROOT/file).exists(): self.missing.append(f'{path}: {link}')
        if file.endswith(PICTURES): return self.beside(self.picture(file), path)
        if file not in self.place: return f'{self.blob}/{file}'
        return self.beside(self.place[file], path) + (mark and f'#{slug(mark)}')

    def picture(self, file):
        to = self.folder/file
        to.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT/file).exists(): shutil.copy2(ROOT/file, to)
        return file

    def beside(self, place, path): return os.path.relpath(place, Path(self.place[path]).parent).replace(os.sep, '/')

    def markdown(self, text, path):
        "Links and formulas of a text as the site has them"
        def change(o):
            o = re.sub(r'(\]\()([^)\s]+)(?=[)\s])', lambda m: m[1] + self.link(m[2], path), o)
            return FORMULA.sub(mathml, o) if path.endswith('.ipynb') else o
        return outside_code(change, for_mkdocs(text))

    def write(self, place, text):
        to = self.folder/place
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_text(text, encoding='utf-8')


# --- a notebook as Markdown

def output_html(out, picture):
    "One stored output; `picture(bytes, ending)` writes a picture and gives its link"
    if out.output_type == 'stream':
        return '' if out.name == 'stderr' else f'<pre>{html.escape(out.text)}</pre>'
    data = out.get('data', {})
    for kind in ('png', 'jpeg'):
        if f'image/{kind}' in data:
            link = picture(base64.b64decode(data[f'image/{kind}']), kind)
            return f'<img src="{link}" alt="Drawn by the code above" loading="lazy">'
    if 'text/html' in data:
        text = re.sub(r'<(style|script)\b.*?</\1>|(?<=<table) [^>]*', '', data['text/html'], flags=re.S)
        if '<progress' in text: return ''
        return text if '<' in text else f'<pre>{text}</pre>'
    return f"<pre>{html.escape(data.get('text/plain', ''))}</pre>"


def notebook_text(path, pages):
    "A notebook as the Markdown of a page: directives and hidden cells are gone, outputs stand below their code"
    import nbformat
    place = pages.place[path]
    number = iter(range(10**6))
    def picture(data, kind):
        file = pages.folder/place.replace('.md', f'_{next(number)}.{kind}')
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        return file.name
    parts = []
    for cell in filter(None, map(shown, nbformat.read(ROOT/path, as_version=4).cells)):
        if cell.cell_type == 'markdown': parts.append(pages.markdown(cell.source, path))
        if cell.cell_type != 'code': continue
        parts.append(f'``````python\n{cell.source}\n``````')
        outputs = ''.join(output_html(o, picture) for o in cell.outputs)
        if outputs: parts.append(keep(f'<div class="output" data-search-exclude>{outputs}</div>'))
    return '\n\n'.join(parts) + '\n'


# --- the API pages

def api_place(folder): return f"nbs/{folder or 'core'}/index.md"


def write_api(pages, folders):
    "A page of signatures for each folder, and one of the names that people type"
    for folder in folders:
        found = [o for o in reference.modules(folder) if o.notebook in pages.place]
        line = FOLDERS.get(folder, 'Errors, devices, files that are whole')
        def to(notebook): return os.path.relpath(pages.place[notebook], f"nbs/{folder or 'core'}")
        pages.write(api_place(folder), reference.page(folder or 'core', line, found, pages.blob, to))
    def where(entry):
        folder = entry.module.name.split('.')[0] if '.' in entry.module.name else ''
        if entry.module.notebook not in pages.place: return f'{pages.blob}/{entry.module.path}'
        return f'{os.path.relpath(api_place(folder), "nbs")}#{reference.mark(entry)}'
    head = ['# API', '> What people type, after `from swssl_nb.all import *`.', '| name | what it is |\n| --- | --- |']
    pages.write('nbs/index.md', '\n\n'.join(head) + '\n' + '\n'.join(reference.names(where)) + '\n')


def stage(pages):
    "Write every page as mkdocs shall read it, and give the tabs: tutorials, results, API by folder, the project"
    for path, place in pages.place.items():
        plain = path.endswith('.md') and pages.markdown((ROOT/path).read_text(encoding='utf-8'), path)
        pages.write(place, plain or notebook_text(path, pages))
    def of(folder): return [v for k, v in pages.place.items() if k.startswith(f'nbs/{folder}/')]
    def here(*paths): return [pages.place[o] for o in paths if o in pages.place]
    folders = ['', *filter(of, FOLDERS)]
    write_api(pages, folders)
    library = [{o: [api_place(o), *of(o)]} for o in folders if o]
    first, every = here('nbs/usage.ipynb', 'nbs/map.ipynb'), here('nbs/00_core.ipynb')
    project = here('CONTRIBUTING.md', 'CHANGELOG.md', 'SECURITY.md', 'data/README.md')
    return [{'Home': ['index.md', *first]}, {'Tutorials': of('tutorials')}, {'Results': of('results')},
            {'API': ['nbs/index.md', {'core': [api_place(''), *every]}, *library, *here('nbs/99_all.ipynb')]},
            {'Project': project}]


# --- called by mkdocs

def on_config(config):
    folder = tempfile.mkdtemp(prefix='swssl_nb_pages')
    pages = Pages(folder, f"{config['repo_url']}/blob/main", os.environ.get(ONLY, '').split())
    config['docs_dir'], config['nav'] = folder, [o for o in stage(pages) if list(o.values())[0]]
    pages.write('style.css', STYLE)
    config['extra_css'] = ['style.css']
    if pages.missing: raise SystemExit('links to no file of the project:\n' + '\n'.join(pages.missing))
    return config


def on_page_content(text, **kwargs): return kept_back(text)


def on_post_page(text, **kwargs):
    "Without the stars of the repository, which Material would ask GitHub for"
    return kept_back(text.replace(' data-md-component="source"', ''))


def on_post_build(config): shutil.rmtree(config['docs_dir'], ignore_errors=True)


# --- what was built

class Links(HTMLParser):
    "The ids of a page, what it links to, and what it loads from elsewhere"
    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.foreign = set(), set(), set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = {k: v or '' for k, v in attrs}
        self.ids |= {attrs[o] for o in ('id', 'name') if o in attrs}
        for link in (attrs.get(o) for o in ('href', 'src')):
            if not link or link.startswith(('data:', 'mailto:', 'javascript:')): continue
            if not re.match(r'(https?:)?//', link): self.links.add(link)
            elif tag not in ('a', 'link') or attrs.get('rel') in ('stylesheet', 'preconnect'): self.foreign.add(link)


def broken(site):
    "Links that lead to nothing, and what a page would fetch from elsewhere; the number of pages, of links"
    site = Path(site).resolve()
    read = {o: Links(o.read_text(encoding='utf-8')) for o in site.rglob('*.html')}
    found = [f'{o.relative_to(site)} loads {link}' for o, page in read.items() for link in page.foreign]
    for path, page in read.items():
        if path.name == '404.html': continue # its links start at the address of the site
        for link in sorted(page.links):
            place, mark = urldefrag(link)
            to = (path.parent/unquote(place)).resolve() if place else path
            ok = to.exists() and (not mark or mark == '__top' or to not in read or unquote(mark) in read[to].ids)
            if not ok: found.append(f'{path.relative_to(site)}: {link}')
    return found, len(read), sum(len(page.links) for page in read.values())


DIRECTIVE = re.compile(r'^\s*#\s*\|\s*\w+', re.M)
DEBRIS = re.compile(r'# %%|AUTOGENERATED|\$[^$\n]{1,80}\\[a-z]+|[\ue000\ue001]') # of nbdev, a formula, a mark of `keep`


def readable(page, without): return html.unescape(re.sub(rf'<({without})\b.*?</\1>|<[^>]*>', '', page, flags=re.S))


def debris(site):
    "What the reader of a page should not see: directives in code, nbdev's comments, raw formulas"
    found = []
    for path in Path(site).rglob('*.html'):
        page = path.read_text(encoding='utf-8')
        code = '\n'.join(o[0] for o in re.finditer(r'<pre.*?</pre>', page, re.S))
        seen = DIRECTIVE.search(readable(code, 'style')) or DEBRIS.search(readable(page, 'script|style|code'))
        if seen: found.append(f'{path.relative_to(site)} shows {seen[0]!r}')
    return found


def build(site, only=()):
    "All pages, or those with one of the words in their names; a warning of mkdocs is an error"
    command = [sys.executable, '-m', 'mkdocs', 'build', '--quiet', '--strict', '--clean', '--site-dir']
    command.append(Path(site).resolve())
    env = dict(os.environ, NO_MKDOCS_2_WARNING='1', DISABLE_MKDOCS_2_WARNING='true', **{ONLY: ' '.join(only)})
    r = subprocess.run(list(map(str, command)), cwd=ROOT, env=env, capture_output=True, text=True)
    if r.returncode: raise AssertionError(f'mkdocs: {r.stdout[-1000:]}{r.stderr[-3000:]}')


def main(site):
    start = time.time()
    try: build(site)
    except AssertionError as e: return str(e)
    found, n, n_links = broken(site)
    print(f'{n} pages in {site}, {n_links} links, {time.time() - start:.0f} s', flush=True)
    found += debris(site)
    from browser import look
    found += look(site)
    print(*found[:40], sep='\n')
    return f'{len(found)} faults' if found else 0


if __name__ == '__main__': sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else 'site'))
