"""Prints what the integrations that the test uses need beside Home Assistant itself."""

import json
import pathlib

import homeassistant.components
from homeassistant import bootstrap

COMPONENTS = pathlib.Path(homeassistant.components.__file__).parent
seen = set()


def needs(name: str) -> set[str]:
    """The requirements of an integration and of those that it depends on."""
    if name in seen:
        return set()
    seen.add(name)
    manifest = json.loads((COMPONENTS / name / "manifest.json").read_text())
    found = set(manifest.get("requirements", []))
    for dependency in manifest.get("dependencies", []):
        found |= needs(dependency)
    return found


wanted = {"mqtt", "config", "api", "onboarding", *bootstrap.DEFAULT_INTEGRATIONS}
print("\n".join(sorted(set().union(*(needs(name) for name in wanted)))))
