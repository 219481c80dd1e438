"""Hooks of MkDocs: files outside docs/ join the site, links to them are those of the repository, and the navigation
lists the generated pages of results.
"""

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "CONTRIBUTING.md", "CHANGELOG.md": "CHANGELOG.md"}
"""Documents of the project's folder, and their places in the site."""
MAIN = "results.md"
SHOWN = ("report.html", "figures/*.svg", "runs/*/*/*/*")
"""What the pages and the report link to, in results/."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the documents, and the results that they and the report link to."""
    root = Path(config.config_file_path).parent
    results = [path for pattern in SHOWN for path in (root / "results").glob(pattern) if path.is_file()]
    places = PAGES | {str(path.relative_to(root)): path.relative_to(root).as_posix() for path in results}
    for source, place in places.items():
        files.append(File.generated(config, place, abs_src_path=str(root / source)))
    return files


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the generated pages of results to the navigation, in the order in which docs/results.md links to them."""
    text = (Path(config.docs_dir) / MAIN).read_text(encoding="utf-8")
    pages = list(dict.fromkeys(re.findall(r"\]\((results/[^)#]+\.md)", text)))
    config.nav = [
        {"Results": [{"Main results": MAIN}, *pages]} if entry == {"Results": MAIN} else entry
        for entry in config.nav or []
    ]
    return config


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Point links to where the linked files are in the site: a folder less deep, or beside."""
    if page.file.src_uri in PAGES.values():
        return markdown.replace("](docs/", "](").replace("](README.md", "](index.md")
    if page.file.src_uri.startswith("results/"):
        return markdown.replace("](../../results/", "](")
    return markdown.replace("](../README.md", "](index.md").replace("](../", "](")
