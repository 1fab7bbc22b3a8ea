"""Put the project and what it needs into .venv: `python3 .ci/install.py`.
The Makefile calls it when settings.ini has changed.

It runs under whatever Python the machine has, so it keeps to syntax that an old one can read."""
import json, os, shutil, subprocess, sys, time

VENV, LOG = '.venv', os.path.join('.venv', 'install.log')
DONE = os.path.join(VENV, 'installed') # holds the folder it was made for: a moved .venv does not work


def stop(message):
    sys.stderr.write('swssl_nb: %s\n' % message)
    sys.exit(1)


def read(path):
    if not os.path.exists(path): return ''
    with open(path) as f: return f.read()


def is_noise(line): return line.startswith('WARNING: Location') or not line.strip()


def inside():
    "The environment for pip: its temporary files, several GB, go into .venv"
    tmp = os.path.abspath(os.path.join(VENV, 'tmp'))
    env = dict(os.environ, TMPDIR=tmp)
    # for the pips that pip starts, too
    env.update(PIP_USER='0', PIP_NO_CACHE_DIR='1', PIP_DISABLE_PIP_VERSION_CHECK='1')
    # pip asks rustc for its version, and rustup's rustc would make a folder in the home for that
    if not os.path.exists(os.path.expanduser('~/.rustup')): env.setdefault('RUSTUP_HOME', os.path.join(tmp, 'rustup'))
    return env


def install(python, env):
    "pip's own words go to the log; the terminal shows one line of progress"
    cmd = [python, '-m', 'pip', 'install', '--progress-bar', 'off', '-e', '.[dev]']
    tty, shown = sys.stdout.isatty(), time.time()
    with open(LOG, 'w') as log:
        p = subprocess.Popen(cmd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
        for line in p.stdout:
            log.write(line)
            log.flush()
            words = line.split()
            if not words or words[0] not in ('Collecting', 'Downloading', 'Building', 'Installing'): continue
            if tty: sys.stdout.write('\r  %-70.70s' % ' '.join(words))
            elif time.time() - shown > 20 or 'collected packages' in line:
                sys.stdout.write('  %.70s\n' % ' '.join(words))
            else: continue
            shown = time.time()
            sys.stdout.flush()
        if tty: sys.stdout.write('\r%72s\r' % '')
    return p.wait()


def quiet_lab(config):
    "JupyterLab asks at its first start whether it may fetch news: here it neither asks nor fetches"
    path = os.path.join(config, 'labconfig', 'page_config.json')
    if os.path.exists(path): return
    if not os.path.isdir(os.path.dirname(path)): os.makedirs(os.path.dirname(path))
    off = {'disabledExtensions': {'@jupyterlab/apputils-extension:announcements': True}}
    with open(path, 'w') as f: json.dump(off, f)


def main():
    os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    found = '%d.%d' % sys.version_info[:2]
    other = 'choose another one: make PYTHON=python3.12'
    if sys.version_info < (3, 11):
        stop('Python 3.11 or newer is needed, %s is %s; %s' % (sys.executable, found, other))
    try: import ensurepip, venv
    except ImportError:
        package = 'install the venv package of your system (python%s-venv)' % found
        stop('%s cannot make virtual environments; %s, or %s' % (sys.executable, package, other))
    start = time.time()
    print('Installing into .venv: a few minutes and several GB, once')
    sys.stdout.flush()
    moved = read(DONE) not in ('', os.getcwd())
    if os.path.exists(DONE): os.remove(DONE)
    if moved: shutil.rmtree(VENV)
    env = inside()
    if not os.path.isdir(env['TMPDIR']): os.makedirs(env['TMPDIR'])
    r = subprocess.run([sys.executable, '-m', 'venv', VENV], env=env,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    if r.returncode: stop('the virtual environment .venv was not made:\n%s' % r.stdout.strip())
    failed = install(os.path.join(VENV, 'Scripts' if os.name == 'nt' else 'bin', 'python'), env)
    shutil.rmtree(env['TMPDIR'], ignore_errors=True)
    if failed:
        lines = [o for o in read(LOG).splitlines() if not is_noise(o)]
        stop('pip failed; the end of .venv/install.log says why:\n' + '\n'.join(lines[-15:]))
    quiet_lab(os.path.join(VENV, 'home', 'jupyter', 'config')) # JUPYTER_CONFIG_DIR of the Makefile
    with open(DONE, 'w') as f: f.write(os.getcwd())
    print('Installed in %.0f s' % (time.time() - start))


if __name__ == '__main__':
    try: main()
    except KeyboardInterrupt: stop('interrupted; the next make goes on from here')
