"""The site in a real browser: some pages are opened in headless Chromium, over HTTP and without a network.
`python .ci/browser.py site FOLDER` also leaves a screenshot of each in FOLDER."""
import base64, functools, http.server, json, os, re, shutil, subprocess, sys, tempfile, threading, time
from pathlib import Path
from urllib.request import urlopen

NAMES = ('chromium', 'chromium-browser', 'google-chrome', 'chrome')
WIDTHS = 1400, 400 # pixels: a desk, a telephone
TIMEOUT = 120 # s for one answer of the browser, on a machine with other work
# page -> what must be read on it
PAGES = {'index.html': ['Find what is abnormal', 'make demo'],
         'nbs/tutorials/01_first_steps.html': ['First steps', 'cases.split_by_patient'],
         'nbs/results/00_summary.html': ['95 %'],
         'nbs/index.html': ['swssl_learner', 'Preprocess'],
         'nbs/data/index.html': ['Cases.split_by_patient', 'what it is'],
         'nbs/models/index.html': ['swssl_learner', 'WindowDistance'],
         'nbs/models/05_scorers.html': ['Normal statistics'],
         'nbs/cli/index.html': ['what it is']}
SOUGHT = 'split by patient' # typed into the search field
FACTS = """JSON.stringify({text: document.body.innerText, width: document.documentElement.scrollWidth,
  pictures: [...document.images].filter(o => !o.naturalWidth).map(o => o.src)})"""
# Pictures below the window are fetched late: wait for all
FETCHED = """Promise.all([...document.images].map(o => { o.loading = 'eager';
  return o.complete || new Promise(done => { o.onload = o.onerror = done }) })).then(() => 1)"""


def chromium(): return next(filter(None, map(shutil.which, NAMES)), None)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args): pass


class Server:
    "The folder of a site at an address of this machine"
    def __init__(self, site):
        handler = functools.partial(Quiet, directory=str(site))
        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)
        self.address = f'http://127.0.0.1:{self.server.server_port}'

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self.address

    def __exit__(self, *args): self.server.shutdown(); self.server.server_close()


class Browser:
    "Headless Chromium with one page, spoken to by its own protocol; no name of the network is found"
    def __init__(self, program):
        self.folder = tempfile.mkdtemp(prefix='swssl_nb_browser')
        options = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run',
                   '--remote-debugging-port=0', '--remote-allow-origins=*', f'--user-data-dir={self.folder}',
                   '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1']
        self.process = subprocess.Popen([program, *options, 'about:blank'], env=dict(os.environ, HOME=self.folder),
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.number, self.events = 0, []

    def __enter__(self):
        import websocket # comes with jupyterlab
        port = Path(self.folder)/'DevToolsActivePort'
        wait_for(lambda: port.exists() and port.read_text().count('\n'), 'Chromium did not start')
        address = f'http://127.0.0.1:{port.read_text().split()[0]}/json'
        def page(): return next((o for o in json.load(urlopen(address)) if o['type'] == 'page'), None)
        found = wait_for(page, 'Chromium shows no page')
        self.socket = websocket.create_connection(found['webSocketDebuggerUrl'], timeout=TIMEOUT)
        for domain in ('Page', 'Runtime', 'Log', 'Network'): self.ask(f'{domain}.enable')
        return self

    def __exit__(self, *args):
        if hasattr(self, 'socket'): self.socket.close()
        self.process.terminate()
        try: self.process.wait(10)
        except subprocess.TimeoutExpired: self.process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def receive(self):
        message = json.loads(self.socket.recv())
        if 'method' in message: self.events.append(message)
        return message

    def ask(self, method, **params):
        self.number += 1
        self.socket.send(json.dumps({'id': self.number, 'method': method, 'params': params}))
        while (message := self.receive()).get('id') != self.number: pass
        if 'error' in message: raise RuntimeError(f"{method}: {message['error']}")
        return message['result']

    def value(self, script):
        r = self.ask('Runtime.evaluate', expression=script, returnByValue=True, awaitPromise=True)
        if 'exceptionDetails' in r: raise RuntimeError(f"{script[:60]}: {r['exceptionDetails']['text']}")
        return r['result'].get('value')

    def open(self, address, width=1400, height=1000, dark=False):
        self.events = []
        self.ask('Emulation.setDeviceMetricsOverride', width=width, height=height, deviceScaleFactor=1,
                 mobile=width < 500)
        scheme = {'name': 'prefers-color-scheme', 'value': 'dark' if dark else 'light'}
        self.ask('Emulation.setEmulatedMedia', features=[scheme])
        self.ask('Page.navigate', url=address)
        wait_for(lambda: any(o['method'] == 'Page.loadEventFired' for o in self.events) or self.value('0'),
                 f'{address} is not loaded')
        self.value('new Promise(o => setTimeout(o, 300))')

    def errors(self):
        "What the page's console and network complain about"
        for o in self.events:
            p = o['params']
            if o['method'] == 'Runtime.exceptionThrown':
                d = p['exceptionDetails']
                yield d.get('exception', {}).get('description', d['text'])
            if o['method'] == 'Log.entryAdded' and p['entry']['level'] == 'error': yield p['entry']['text']
            if o['method'] == 'Runtime.consoleAPICalled' and p['type'] == 'error':
                yield ' '.join(str(a.get('value', a.get('description'))) for a in p['args'])
            if o['method'] == 'Network.requestWillBeSent':
                address = p['request']['url']
                if not re.match(r'data:|blob:|http://127\.', address): yield f'it asks for {address}'

    def screenshot(self, file, whole=False):
        r = self.ask('Page.captureScreenshot', format='png', captureBeyondViewport=whole)
        Path(file).write_bytes(base64.b64decode(r['data']))


def wait_for(ready, problem):
    start = time.time()
    while time.time() - start < TIMEOUT:
        try:
            if found := ready(): return found
        except OSError: pass
        time.sleep(0.1)
    raise RuntimeError(f'{problem} after {TIMEOUT} s')


def look_at(browser, address, page, width):
    "What is wrong with a page at a width"
    browser.open(f'{address}/{page}', width)
    browser.value(FETCHED)
    facts = json.loads(browser.value(FACTS))
    found = [f'does not say {o!r}' for o in PAGES.get(page, []) if o not in facts['text']]
    if facts['width'] > width: found.append(f"is {facts['width']} pixels wide")
    found += [f'shows no picture {o}' for o in facts['pictures']]
    found += list(browser.errors())
    return [f'{page} at {width} pixels: {o}' for o in found]


def search(browser, address, sought):
    "What is wrong with the search: it must lead to pages of the library"
    browser.open(f'{address}/index.html')
    browser.value("document.querySelector('.md-search__input').focus()")
    browser.ask('Input.insertText', text=sought)
    hits = "[...document.querySelectorAll('.md-search-result__link')].map(o => o.href).join(' ')"
    try: found = wait_for(lambda: browser.value(hits), 'the search finds nothing')
    except RuntimeError as e: return [str(e)]
    found = [] if 'nbs/' in found else [f'search for {sought!r} gives {found[:200]}']
    return found + list(browser.errors())


def look(site, pages=None, shots=None, sought=SOUGHT):
    "What is wrong with the pages of a site that are opened; a line says so where there is no browser"
    if not (program := chromium()):
        print(f'no Chromium here ({", ".join(NAMES)}): the pages were not opened', flush=True)
        return []
    found, start = [], time.time()
    wanted = [o for o in pages or PAGES if (Path(site)/o).exists()]
    with Server(site) as address, Browser(program) as browser:
        for page in wanted:
            for width in WIDTHS:
                found += look_at(browser, address, page, width)
                name = f"{page.replace('/', '_').removesuffix('.html')}_{width}.png"
                if shots: browser.screenshot(Path(shots)/name)
        if sought: found += search(browser, address, sought)
        if shots: browser.screenshot(Path(shots)/'search.png')
    missing = [f'{o} was not built' for o in pages or PAGES if o not in wanted]
    sizes = ' and '.join(map(str, WIDTHS))
    print(f'     {len(wanted)} pages opened at {sizes} pixels, {time.time() - start:.0f} s', flush=True)
    return missing + found


if __name__ == '__main__':
    found = look(sys.argv[1], shots=sys.argv[2] if len(sys.argv) > 2 else None)
    sys.exit('\n'.join(found) or 0)
