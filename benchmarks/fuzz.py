"""Damaged files through every reader: a sentence each, no traceback, no hang, no flood of memory.

    python -m benchmarks.fuzz [CPU_SECONDS] [SEED]

Small files of every kind are damaged at random (bits, bytes, cuts, repeats, pieces of others, words
that readers trip over), and each is opened as a user's is. What is found is printed once for each
place in the code, and kept below the folder that is named at the end.
"""

import gzip
import io
import json
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from time import process_time
from types import FrameType
from typing import Any, NamedTuple

HANG = 20
"""CPU seconds after which a file counts as hanging."""

MEMORY = 400 * 2**20
"""Bytes that a process may grow by, whatever the size of the file: libraries, and small change."""

TIMES = 10
"""Times its own size that a file may take beside."""

PIECE = 20.0
"""CPU seconds of one process: a new one starts with little memory."""

WORDS = (
    b"\0", b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", b'"', b'""', b"'", b",", b"\t", b"\r", b"\n",
    b"\r\n", b"NaN", b"-inf", b"1e999", b"1e308", b"9" * 400, b"9" * 5000, b"null", b"true", b"[]",
    b"{}", b"[[", b'{"text":', b"\\ud83d", b"\\u0000", b"sep=;", b"_", b"-", b"1-2", b"1.1", b"# ",
    b"-DOCSTART-", b"\xe2\x80\xa8", b"\xf0\x9f\x98\x80", b"label", b"text", b"[" * 900,
    b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff", b"\x80\0\0\0", b"(999999999, 9)", b"'|O'",
    b"[1,0,1]", b"=1+1",
)  # fmt: skip
"""What a reader may trip over."""


class Sample(NamedTuple):
    """A whole file, and what it is read for."""

    content: bytes
    tasks: tuple[str, ...]


class Found(NamedTuple):
    """Something that should not happen: what, where in the code, and the file that does it."""

    what: str
    where: str
    file: str


class Hang(BaseException):
    """Something computes without end; no code under test takes it for a fault of the file."""


def texts() -> list[tuple[str, str]]:
    """Return texts with labels."""
    return [(f"a {word} film, number {n}", word) for n in range(15) for word in ("good", "bad")]


def samples() -> dict[str, Sample]:
    """Return a small file of every kind by its name."""
    csv = "".join(f'"{text}",{label}\n' for text, label in texts())
    numbers = "".join(f"{n},{n * n},{'ab'[n % 2]}\n" for n in range(30))
    rows = [{"text": text, "label": label} for text, label in texts()]
    series = [
        {"x": [n / 1, n / 2, -n / 1][: 2 + n % 2], "labels": ["a", "b"][: 1 + n % 2]}
        for n in range(30)
    ]
    words = "".join(
        "".join(f"{n + 1}\tw{k}\t_\t{'XYZ'[n]}\t_\t_\t0\t_\t_\t_\n" for n in range(3)) + "\n"
        for k in range(12)
    )
    tagged = "".join(f"Anna B-PER\nsees O\nLyon{n} B-LOC\n\n" for n in range(12))
    pairs = "".join(f"house {n}\tmaison {n}\n" for n in range(30))
    both = ("classify", "regress")
    return {
        "a.csv": Sample(f"text,label\n{csv}".encode(), (*both, "translate", "generate")),
        "b.csv": Sample(f"height,weight,label\n{numbers}".encode(), both),
        "c.csv.gz": Sample(gzip.compress(f"text,label\n{csv}".encode()), ("classify",)),
        "a.tsv": Sample(f"source\ttarget\n{pairs}".encode(), ("translate",)),
        "a.json": Sample(json.dumps(rows).encode(), ("classify", "generate")),
        "b.json": Sample(json.dumps({"x": [1, 2, 3], "y": [1.5, 2, 4]}).encode(), both),
        "a.jsonl": Sample("\n".join(map(json.dumps, rows)).encode(), ("classify", "tag")),
        "b.jsonl": Sample("\n".join(map(json.dumps, series)).encode(), both),
        "a.conll": Sample(tagged.encode(), ("tag",)),
        "a.conllu": Sample(words.encode(), ("tag",)),
        "a.txt": Sample(csv.encode(), ("generate",)),
        "a.npz": Sample(archive((30, 3)), both),
        "b.npz": Sample(archive((30, 4, 2)), ("classify",)),
        "a.npy": Sample(array((30, 3)), ("classify",)),
        "a-images-idx3-ubyte": Sample(idx(30, 8, 8), ("classify",)),
        "a.parquet": Sample(parquet(rows), ("classify",)),
        "b.parquet": Sample(parquet(series), both),
        **{f"p/{ending}": Sample(picture(ending), ("classify",)) for ending in PICTURES},
    }


def array(shape: tuple[int, ...]) -> bytes:
    """Return an array as NumPy writes it."""
    import numpy as np

    file = io.BytesIO()
    np.save(file, np.random.default_rng(0).normal(size=shape))
    return file.getvalue()


def archive(shape: tuple[int, ...]) -> bytes:
    """Return arrays X and y as NumPy writes them."""
    import numpy as np

    file = io.BytesIO()
    np.savez(file, X=np.random.default_rng(0).normal(size=shape), y=np.arange(shape[0]) % 2)
    return file.getvalue()


def idx(rows: int, height: int, width: int) -> bytes:
    """Return pictures as MNIST's files have them."""
    return struct.pack(">HBBIII", 0, 8, 3, rows, height, width) + bytes(
        n * n // 7 % 256 for n in range(rows * height * width)
    )


def parquet(rows: list[dict[str, Any]]) -> bytes:
    """Return rows as a Parquet file."""
    import polars

    file = io.BytesIO()
    polars.DataFrame(rows).write_parquet(file)
    return file.getvalue()


PICTURES = {
    "png": "RGB", "jpg": "RGB", "gif": "P", "bmp": "L", "tif": "F", "tiff": "I;16", "webp": "RGBA",
    "ppm": "RGB", "pgm": "L",
}  # fmt: skip
"""Endings of pictures, and what their pixels are."""


def picture(ending: str, number: int = 0) -> bytes:
    """Return a small picture as a file of some kind; another for each number."""
    import numpy as np
    from PIL import Image

    drawn = np.random.default_rng(number).integers(0, 256, (12, 12), dtype=np.uint8)
    mode, file = PICTURES[ending], io.BytesIO()
    if mode == "F":
        made = Image.fromarray(drawn.astype(np.float32) / 255)
    elif mode == "I;16":
        made = Image.fromarray(drawn.astype(np.uint16) * 257)
    else:
        made = Image.fromarray(drawn).convert(mode)
    names = {"jpg": "JPEG", "tif": "TIFF", "pgm": "PPM"}
    made.save(file, names.get(ending, ending.upper()))
    return file.getvalue()


# Damage


def damage(content: bytes, others: list[bytes], random: Random) -> bytes:
    """Return a file that differs in one to eight ways."""
    for _ in range(random.choice((1, 1, 2, 4, 8))):
        content = random.choice(WAYS)(content, others, random)
    return content


def flip(content: bytes, others: list[bytes], random: Random) -> bytes:
    """Change a bit."""
    if not content:
        return content
    place = random.randrange(len(content))
    return (
        content[:place] + bytes([content[place] ^ 1 << random.randrange(8)]) + content[place + 1 :]
    )


def overwrite(content: bytes, others: list[bytes], random: Random) -> bytes:
    """Write a word over what stands there."""
    word, place = random.choice(WORDS), random.randint(0, len(content))
    return content[:place] + word + content[place + len(word) :]


def insert(content: bytes, others: list[bytes], random: Random) -> bytes:
    """Put a word between."""
    place = random.randint(0, len(content))
    return content[:place] + random.choice(WORDS) + content[place:]


def remove(content: bytes, others: list[bytes], random: Random) -> bytes:
    """Take a stretch out."""
    start = random.randint(0, len(content))
    return content[:start] + content[start + random.choice((1, 2, 4, 16, 64, 1024)) :]


def repeat(content: bytes, others: list[bytes], random: Random) -> bytes:
    """Write a stretch several times."""
    start = random.randint(0, len(content))
    stretch = content[start : start + random.choice((1, 8, 64, 256))]
    return content[:start] + stretch * random.choice((2, 3, 50)) + content[start:]


def cut(content: bytes, others: list[bytes], random: Random) -> bytes:
    """End early."""
    return content[: random.randint(0, len(content))]


def splice(content: bytes, others: list[bytes], random: Random) -> bytes:
    """Go on with the end of another file."""
    other = random.choice(others)
    return content[: random.randint(0, len(content))] + other[random.randint(0, len(other)) :]


WAYS: tuple[Callable[[bytes, list[bytes], Random], bytes], ...] = (
    flip, flip, overwrite, insert, remove, repeat, cut, splice,
)  # fmt: skip


# Trying


def open_file(path: Path, task: str) -> None:
    """Open a file as a user does who is about to train, up to a batch; then ask its rows."""
    from ensuite.problem import open_part, open_problem, settle

    problem = open_problem(task, str(path), settings={"size": "8"} if path.is_dir() else {})
    items = problem.task.items(problem.parts["train"])
    problem.task.collate([items[number] for number in range(min(4, len(items)))])
    problem.task.read(*settle(problem.task, open_part(str(path), {}, asking=True), {}), asking=True)


def write(folder: Path, name: str, content: bytes) -> Path:
    """Write a file to open; a picture stands among whole ones, in a folder for each label."""
    if not name.startswith("p/"):
        (folder / name).write_bytes(content)
        labels = struct.pack(">HBBI", 0, 8, 1, 30) + bytes(n % 2 for n in range(30))
        (folder / "a-labels-idx1-ubyte").write_bytes(labels)
        return folder / name
    ending = name.removeprefix("p/")
    beside = folder / ending
    if not beside.exists():
        for number in range(10):
            label = beside / ("left", "right")[number % 2]
            label.mkdir(parents=True, exist_ok=True)
            (label / f"{number}.{ending}").write_bytes(picture(ending, number))
    (beside / "left" / f"0.{ending}").write_bytes(content)
    return beside


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Raise a Hang where something computes for longer."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Hang(f"more than {seconds} seconds")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def attempt(path: Path, task: str, size: int) -> tuple[str, str] | None:
    """Open a file; return what went wrong and where, or None where it was read or refused."""
    from ensuite.core.errors import EnsuiteError

    before = peak()
    try:
        with limited(HANG):
            open_file(path, task)
    except EnsuiteError as error:
        if "\n" in str(error):
            return "a message of several lines", task
    except (Exception, Warning) as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {str(error)[:200]}", f"{last.filename}:{last.lineno}"
    except BaseException as error:  # a panic of polars
        return f"{type(error).__name__}: {str(error)[:200]}", task
    if peak() - before > MEMORY + TIMES * size:
        return f"{(peak() - before) / 2**20:,.0f} MB for {size:,} bytes", task
    return None


def peak() -> int:
    """Return the most memory that this process has had, in bytes."""
    kilobytes = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilobytes


def work(folder: Path, seconds: float, seed: int) -> tuple[int, list[Found]]:
    """Try damaged files for some CPU seconds; return how many, and what was found."""
    warnings.simplefilter("error")
    random, whole, found = Random(seed), samples(), dict[str, Found]()
    contents = [sample.content for sample in whole.values()]
    for name, sample in whole.items():  # whole files first, so that the damage is what is judged
        for task in sample.tasks[:1]:
            attempt(write(folder, name, sample.content), task, len(sample.content))
    begun, count = process_time(), 0
    while process_time() - begun < seconds:
        name = random.choice(list(whole))
        content = damage(whole[name].content, contents, random)
        path, task = write(folder, name, content), random.choice(whole[name].tasks)
        (folder / "trying").write_text(f"{name} {task} {content.hex()}", encoding="utf-8")
        count += 1
        if (wrong := attempt(path, task, len(content))) and wrong[1] not in found:
            kept = folder / f"found-{seed}-{len(found)}-{Path(name).name}"
            kept.write_bytes(content)
            found[wrong[1]] = Found(f"{name} as {task}: {wrong[0]}", wrong[1], str(kept))
    return count, list(found.values())


def main(seconds: float = 600.0, seed: int = 0) -> int:
    """Try files in one process after the other; return how many places were found."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    count, places, began = 0, set[str](), seed
    while (seed - began) * PIECE < seconds:
        words = [sys.executable, "-m", "benchmarks.fuzz", "--work", str(folder), str(seed)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            last = (folder / "trying").read_text(encoding="utf-8")
            (folder / f"killed-{seed}").write_text(last, encoding="utf-8")
            reason = done.stderr.strip().splitlines()[-1:] or ["no word"]
            print(f"killed by {done.returncode}: {last[:60]} ... ({reason[0][:200]})", flush=True)
            places.add(f"killed {reason[0]}")
        else:
            told = json.loads(done.stdout.splitlines()[-1])
            count += told["count"]
            for each in (Found(*found) for found in told["found"]):
                if each.where not in places:
                    print(f"{each.what}\n    {each.where}\n    {each.file}", flush=True)
                places.add(each.where)
        seed += 1
    print(f"{count:,} files, {len(places)} places; below {folder}")
    return len(places)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        tried, wrong = work(Path(sys.argv[2]), PIECE, int(sys.argv[3]))
        print(json.dumps({"count": tried, "found": wrong}))
    else:
        sys.exit(main(*(float(sys.argv[1]),) * bool(sys.argv[1:2]), *map(int, sys.argv[2:3])) > 0)
