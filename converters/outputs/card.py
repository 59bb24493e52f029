"""The mark under a model card of this program: it tells a card that is to be written anew from a user's own text. And
what every card says: of a head that lies beside the model, and how the model is loaded."""

from __future__ import annotations

import hashlib
import inspect
import json
import re
from pathlib import Path

from ...mappings.language.beside import HEAD_FILE, SeparateHead
from ...mappings.language.family import Model

MODEL_CARD = "README.md"

_MARK = "<!-- written by paddle2torch; sha256 of the text above: {} -->\n"
_MARKED = re.compile(re.escape(_MARK).replace(re.escape("{}"), "([0-9a-f]{64})"))


def marked(text: str) -> str:
    """The text of a card with the mark under it."""
    return text + _MARK.format(_digest(text))


def head_section(model: Model) -> str:
    """The section on the head of a model that lies beside the backbone: the lines that compute what it puts out, as
    they are run in a verification. Empty without such a head."""
    beside = model.beside
    if beside is None:
        return ""
    needs = "".join(f", {name}={name}" for name in model.needs)
    return f"""## The head

{whole_model_note(model)} These lines are the head:

```python
from torch import Tensor


{head_code(beside)}```

So the logits of {model.source} are computed, with `given` as PaddleNLP's template makes it:

```python
from safetensors.torch import load_file
from transformers import {model.auto_class}

backbone = {model.auto_class}.from_pretrained(".").eval()
head = load_file("{HEAD_FILE}")
logits = {beside.logits.__name__}(head, backbone(**given).last_hidden_state{needs})
```

`paddle2torch verify` runs the function as it stands here, and compares what it gives with PaddleNLP's {model.source}.
"""


def head_code(beside: SeparateHead) -> str:
    """The text of the function that computes what a head puts out; `Tensor` is all that it takes for granted."""
    return inspect.getsource(beside.logits)


def whole_model_note(model: Model) -> str:
    """What a folder with a head beside the model is and what it is not."""
    reason = "" if model.beside is None else model.beside.reason
    return (
        f"This folder is no whole Hugging Face model: {reason}. What `from_pretrained` loads is the backbone alone, "
        f"`{model.target_architecture}`; the head's tensors lie beside it in `{HEAD_FILE}`."
    )


def head_card(model: Model) -> str | None:
    """The card of a converted folder with a head beside the model, with the mark under it; None without one."""
    if model.beside is None:
        return None
    title = f"# {model.source} of PaddleNLP: {model.target_architecture}, and its head beside it"
    return marked(f"{title}\n\nConverted by paddle2torch.\n\n{head_section(model)}")


def loading_lines(auto_class: str, place: str, tokenizer: bool) -> list[str]:
    """Python that loads the model that lies at `place`, a path or a repository of the Hub, as `model`, and with
    `tokenizer` its tokenizer too. `auto_class` is the class of transformers that takes it."""
    # A text of JSON's is one of Python's.
    quoted = json.dumps(place, ensure_ascii=False)
    lines = [f"from transformers import {auto_class}", f"model = {auto_class}.from_pretrained({quoted})"]
    if tokenizer:
        lines = [f"{lines[0]}, AutoTokenizer", lines[1], f"tokenizer = AutoTokenizer.from_pretrained({quoted})"]
    return lines


def is_own_card(path: Path) -> bool:
    """Whether the card `path` is as this program wrote it, to the last byte. Raises OSError."""
    try:
        text = path.read_bytes().decode()
    except ValueError:
        return False
    mark = _MARKED.search(text)
    return mark is not None and mark.end() == len(text) and mark[1] == _digest(text[: mark.start()])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
