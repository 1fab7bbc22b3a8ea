"""The licences of all that an installed swssl_nb needs, as the packages state them: `python .ci/licences.py`,
with `--extra NAME` also those of extras. It ends with 1 where a package states none, or one that binds what uses it."""
import argparse, re, sys
from importlib.metadata import PackageNotFoundError, distribution

binding = re.compile(r'\b(A?GPL|AFFERO|GNU GENERAL PUBLIC|SSPL|NON-?COMMERCIAL|CC-BY-NC)', re.I)
lesser = re.compile(r'LGPL|LESSER', re.I)


def plain(name):
    "A package's name as pip compares it"
    return re.sub('[-_.]+', '-', name).lower()


def wanted(requirement, extras):
    "The name that a requirement asks for, and its extras; None where it does not count here"
    text, _, marker = requirement.partition(';')
    name, of_it = re.match(r'([\w.-]+)\s*(?:\[([^\]]*)\])?', text).groups()
    if marker and not holds(marker, extras): return None
    return name, set((of_it or '').replace(' ', '').split(',')) - {''}


def holds(marker, extras):
    "Whether a marker holds on this machine, for one of these extras"
    from packaging.markers import Marker
    return any(Marker(marker).evaluate(dict(extra=extra)) for extra in (extras or {''}))


def packages(name, extras, found):
    "Name -> distribution, of a package and all that it needs; None for one that is not installed"
    key = plain(name)
    if key in found and not extras: return found
    try: found[key] = distribution(name)
    except PackageNotFoundError:
        found[key] = None
        return found
    for one in filter(None, (wanted(requirement, extras) for requirement in found[key].requires or ())):
        if plain(one[0]) not in found: packages(*one, found)
    return found


def licence(found):
    "What a distribution says of its licence, in a line; '' for nothing"
    facts = found.metadata
    classes = [line.split(' :: ')[-1] for line in facts.get_all('Classifier') or () if line.startswith('License ::')]
    stated = ' or '.join(one for one in classes if one != 'OSI Approved')
    return ' '.join((facts.get('License-Expression') or stated or facts.get('License') or '').split())[:60]


def main():
    p = argparse.ArgumentParser(description=__doc__.split(':')[0])
    p.add_argument('--extra', action='append', default=[])
    args = p.parse_args()
    found = packages('swssl_nb', set(args.extra), {})
    wrong = 0
    for name, one in sorted(found.items()):
        said = 'not installed' if one is None else licence(one)
        bad = not said or (binding.search(said) and not lesser.search(said))
        wrong += bool(bad)
        version = '' if one is None else one.version
        print(f"{name:34} {version:16} {said or 'NO LICENCE STATED'}{'  <- look' if bad else ''}")
    print(f'{len(found)} packages, {wrong} to look at')
    return int(wrong > 0)


if __name__ == '__main__': sys.exit(main())
