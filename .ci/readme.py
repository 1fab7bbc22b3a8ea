"""README.md from nbs/index.ipynb: `make readme`. nbdev's own command needs Quarto, so nbconvert does it here."""
import base64, re
from pathlib import Path
import nbformat
from nbconvert import MarkdownExporter

ROOT = Path(__file__).resolve().parent.parent
HEAD = '<!-- Made from nbs/index.ipynb by `make readme`: edit that notebook, not this file. -->\n\n'


def shown(cell):
    "`cell` without its directive lines, or None where it is hidden"
    lines = cell.source.splitlines()
    directives = [o for o in lines if re.match(r'#\s*\|', o)]
    if any(re.match(r'#\s*\|\s*(hide|include:\s*false)\s*$', o) for o in directives): return None
    cell.source = '\n'.join(o for o in lines if o not in directives)
    return cell if cell.source.strip() else None


def pictures(text):
    "For each picture in a text, as NOTEBOOK_hit.png: its path -> the PNG that the cell `#| label: hit` drew"
    found = {}
    for folder, stem, label in re.findall(r'!\[[^]]*\]\(((?:\w+/)*)(\w+)_(\w+?)\.png\)', text):
        cells = nbformat.read(ROOT/'nbs'/folder/f'{stem}.ipynb', as_version=4).cells
        cell = next(cell for cell in cells if f'#| label: {label}' in cell.source.splitlines())
        drawn = next(o.data['image/png'] for o in cell.outputs if 'image/png' in o.get('data', {}))
        found[ROOT/'nbs'/folder/f'{stem}_{label}.png'] = base64.b64decode(drawn)
    return found


def from_root(text):
    "Links of a notebook in nbs/ as links of a file beside nbs/"
    text = re.sub(r'\]\((?!\.\./|\w+:|#|/)', '](nbs/', text)
    return text.replace('](../', '](')


def readme(
    notebook=ROOT/'nbs'/'index.ipynb' # The notebook that becomes the README
): # Its text
    nb = nbformat.read(notebook, as_version=4)
    nb.cells = [o for o in map(shown, nb.cells) if o is not None]
    for cell in nb.cells:
        if cell.cell_type == 'markdown': cell.source = from_root(cell.source)
    body, resources = MarkdownExporter().from_notebook_node(nb)
    if resources.get('outputs'):
        raise ValueError(f'{notebook}: an image cannot be part of README.md; keep its outputs to text')
    return HEAD + re.sub(r'\n{3,}', '\n\n', body).strip() + '\n'


def page_pictures():
    "The pictures of the README, see `pictures`"
    cells = nbformat.read(ROOT/'nbs'/'index.ipynb', as_version=4).cells
    return pictures('\n'.join(cell.source for cell in cells if cell.cell_type == 'markdown'))


if __name__ == '__main__':
    (ROOT/'README.md').write_text(readme(), encoding='utf-8')
    for path, png in page_pictures().items(): path.write_bytes(png)
