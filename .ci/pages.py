"""The site: `make site`. mkdocs.yml names this file as its hooks; run by itself it builds the pages and follows every
link in them. Nothing comes from a network, formulas are MathML."""
import os, re, shutil, subprocess, sys, tempfile, time
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

ROOT = Path(__file__).resolve().parent.parent
# The tabs of the site; each folder of nbs/ is a part of one
FOLDERS = ['data', 'phantom', 'models', 'evaluate', 'deploy', 'report', 'cli']
PAGES = {'README.md': 'index.md', 'CONTRIBUTING.md': 'CONTRIBUTING.md', 'CHANGELOG.md': 'CHANGELOG.md',
         'SECURITY.md': 'SECURITY.md', 'data/README.md': 'data/README.md'}
STYLE = """
.md-grid {max-width: 76rem}
.md-typeset pre > code, .jupyter-wrapper .highlight pre, .jupyter-wrapper .jp-OutputArea-output pre {font-size: .6rem}
.jp-OutputArea-output img {max-width: 100%; height: auto}
.jp-RenderedHTMLCommon table {display: block; overflow-x: auto; font-size: .65rem}
.jupyter-wrapper .jp-MarkdownOutput {font-size: .8rem; padding-left: 0}
math {font-size: 1.05em}
"""


# --- from the project to the pages of mkdocs

def mathml(match):
    "A formula of TeX as MathML, in which Markdown finds nothing to change"
    from latex2mathml.converter import convert
    text = convert(match[1] or match[2], display='block' if match[1] else 'inline')
    return text.replace('|', '&#124;').replace('*', '&#42;').replace('_', '&#95;').replace('&#x0005F;', '&#95;')


CODE = r'(```.*?```|`[^`\n]*`)'
FORMULA = re.compile(r'\$\$(.+?)\$\$|(?<![\w\\])\$([^\s$](?:[^$]*[^\s$])?)\$(?!\d)', re.S)


def outside_code(change, text):
    "`change` of the parts of a text that are no code"
    return ''.join(o if i % 2 else change(o) for i, o in enumerate(re.split(CODE, text, flags=re.S)))


def target_of(link, path, known, blob):
    "Where a link of the file `path` leads in the site: a page beside it, or the repository for what is no page"
    place, mark = urldefrag(link)
    if not place or re.match(r'\w+:|/', link): return link
    file = os.path.normpath(Path(path).parent/place).replace(os.sep, '/')
    file = 'README.md' if file == 'nbs/index.ipynb' else file
    if file not in known: return f'{blob}/{file}'
    end = known[file] if path.endswith('.md') else re.sub(r'\.(md|ipynb)$', '.html', known[file])
    end = end.replace('data/README.html', 'data/index.html')
    here = Path(known[path]).parent
    return os.path.relpath(end, here).replace(os.sep, '/') + (mark and f'#{mark}')


def changed_links(text, *where):
    return re.sub(r'(\]\()([^)\s]+)(?=[)\s])', lambda m: m[1] + target_of(m[2], *where), text)


def stage(folder, known, blob):
    "Write every page as mkdocs shall read it"
    import nbformat
    sys.path.insert(0, str(ROOT/'.ci'))
    from readme import shown
    for path, place in known.items():
        to, where = folder/place, (path, known, blob)
        to.parent.mkdir(parents=True, exist_ok=True)
        if path.endswith('.md'):
            text = (ROOT/path).read_text(encoding='utf-8')
            to.write_text(outside_code(lambda o: changed_links(o, *where), text), encoding='utf-8')
            continue
        nb = nbformat.read(ROOT/path, as_version=4)
        nb.cells = [o for o in map(shown, nb.cells) if o is not None]
        for cell in nb.cells:
            if cell.cell_type != 'markdown': continue
            # the contents beside a page find no heading that has code in it
            text = re.sub(r'^#+ .*', lambda m: m[0].replace('`', ''), cell.source, count=1, flags=re.M)
            cell.source = outside_code(lambda o: FORMULA.sub(mathml, o), changed_links(text, *where))
        nbformat.write(nb, to)


def pages():
    "File of the project -> its place below the folder that mkdocs reads"
    found = sorted(o.relative_to(ROOT).as_posix() for o in (ROOT/'nbs').rglob('*.ipynb'))
    found = [o for o in found if o != 'nbs/index.ipynb' and '.ipynb_checkpoints' not in o]
    return {**PAGES, **{o: o for o in found}}


def navigation(known):
    "The tabs: tutorials, results, the library folder by folder, the project"
    def of(folder): return [o for o in known if o.startswith(f'nbs/{folder}/')]
    library = ['nbs/00_core.ipynb', *({o: of(o)} for o in FOLDERS), 'nbs/99_all.ipynb']
    project = [{'Contributing': 'CONTRIBUTING.md'}, {'Changes': 'CHANGELOG.md'}, {'Security': 'SECURITY.md'},
               {'Data': 'data/README.md'}]
    return [{'Home': 'index.md'}, {'Tutorials': of('tutorials')}, {'Results': of('results')}, {'API': library},
            {'Project': project}]


# --- called by mkdocs

def on_config(config):
    known, folder = pages(), Path(tempfile.mkdtemp(prefix='swssl_nb_pages'))
    stage(folder, known, f"{config['repo_url']}/blob/main")
    (folder/'style.css').write_text(STYLE)
    config['docs_dir'], config['nav'] = str(folder), navigation(known)
    config['extra_css'] = ['notebook.css', 'style.css']
    return config


STYLES = [] # of nbconvert, the same 700 kB in every page; the site has them once


def on_page_content(text, **kwargs):
    "Without the scripts that nbconvert would fetch (MathJax, Mermaid), and without its styles"
    def once(match):
        if len(match[0]) < 5000: return match[0] # of an output, such as a table
        if match[1] not in STYLES: STYLES.append(match[1])
        return ''
    text = re.sub(r'<style[^>]*>(.*?)</style>', once, text, flags=re.S)
    text = re.sub(r'<script[^>]*\ssrc="https?:[^>]*>\s*</script>', '', text)
    def fetches(match): return '' if re.search('MathJax|mermaid', match[0]) else match[0]
    return re.sub(r'<script(?![^>]*\ssrc=)[^>]*>.*?</script>', fetches, text, flags=re.S)


def on_post_build(config):
    (Path(config['site_dir'])/'notebook.css').write_text('\n'.join(STYLES), encoding='utf-8')
    shutil.rmtree(config['docs_dir'], ignore_errors=True)


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
    "Links of the built pages that lead to nothing, and what a page would fetch from elsewhere"
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
    return found, len(read)


def build(site):
    command = [sys.executable, '-m', 'mkdocs', 'build', '--quiet', '--clean', '--site-dir', site]
    env = dict(os.environ, NO_MKDOCS_2_WARNING='1', DISABLE_MKDOCS_2_WARNING='true')
    r = subprocess.run(list(map(str, command)), cwd=ROOT, env=env, capture_output=True, text=True)
    if r.returncode: raise AssertionError(f'mkdocs: {r.stdout[-1000:]}{r.stderr[-3000:]}')


def main(site):
    start = time.time()
    build(site)
    found, n = broken(site)
    print(f'{n} pages in {site}, {time.time() - start:.0f} s', *found[:40], sep='\n')
    if found: print(f'{len(found)} links to nothing')
    return bool(found)


if __name__ == '__main__': sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else 'site'))
