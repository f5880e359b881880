"""Names as people type them: too long, with a dash, addresses, patterns of a shell; no source is ever lost to one."""

from __future__ import annotations

import shutil
from pathlib import Path

import PIL.Image
import pytest

from tests.cli.conftest import Run
from tests.cli.test_bad_input import assert_one_sentence
from tests.networks.test_onnx_runtime import graph

MODEL = ("--model", "quick.onnx", "--architecture", "u2net")


@pytest.fixture(scope="session")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return weights that are no work: the mask is the mean of the colours. Here all is about names."""
    return graph(tmp_path_factory.mktemp("quick") / "quick.onnx", 1)


@pytest.fixture(autouse=True)
def _here(quick: Path, tmp_path: Path) -> None:
    (tmp_path / "quick.onnx").symlink_to(quick)


@pytest.fixture
def two(photograph: Path) -> tuple[Path, Path]:
    """Return two photographs in a folder of their own, as PNG."""
    folder = photograph.with_name("g")
    folder.mkdir()
    with PIL.Image.open(photograph) as picture:
        small = picture.resize((90, 60))
    small.save(folder / "a.png")
    small.save(folder / "b.png")
    return folder / "a.png", folder / "b.png"


def test_a_pattern_never_costs_the_second_picture(gossamer: Run, two: tuple[Path, Path]) -> None:
    before = [path.read_bytes() for path in two]
    for force in ((), ("--force",)):
        refused = gossamer("remove", *two, *force, *MODEL)
        assert_one_sentence(refused, 3, "g/b.png", "--out", "for picture in", "g/*.png")
    shutil.copy(two[0], two[0].with_name("c.png"))
    assert_one_sentence(gossamer("remove", *sorted(two[0].parent.iterdir()), "--force"), 2, "3 names", "for picture in")
    assert_one_sentence(gossamer("refine", *sorted(two[0].parent.iterdir()), "--force"), 3, "g/c.png")
    assert_one_sentence(gossamer("compare", *two, "--force"), 3, "g/a.png", "gossamer compare sheet.png")
    assert_one_sentence(gossamer("segment", *two, "--force", "--box", "1,1,50,50"), 3, "g/b.png is a file")
    assert [path.read_bytes() for path in two] == before


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".jpg"])
def test_an_earlier_result_is_replaced_with_force(gossamer: Run, two: tuple[Path, Path], suffix: str) -> None:
    out = two[0].with_name(f"out{suffix}")
    for options in (("--mask-only", "--foreground", "none"), ("--background", "white")):
        out.unlink(missing_ok=True)
        remove = ("remove", two[0], out, *options, "--quiet", *MODEL)
        assert gossamer(*remove).returncode == 0
        assert_one_sentence(gossamer(*remove), 3, "exists already", "--force")
        assert gossamer(*remove, "--force").returncode == 0
    (empty := two[0].with_name(f"empty{suffix}")).touch()
    assert gossamer("remove", two[0], empty, "--mask-only", "--force", *MODEL).returncode == 0


def test_out_names_what_is_replaced(gossamer: Run, two: tuple[Path, Path]) -> None:
    assert_one_sentence(gossamer("remove", two[0], "--out", two[1], *MODEL), 3, "exists already", "--force")
    assert gossamer("remove", two[0], "--out", two[1], "--force", *MODEL).returncode == 0
    with PIL.Image.open(two[1]) as picture:
        assert picture.mode == "RGBA"
    assert_one_sentence(gossamer("remove", two[0], "x.png", "--out", "y.png"), 2, "x.png", "--out")
    mask = two[0].with_name("mask.png")
    assert gossamer("remove", two[0], "-o", mask, "--mask-only", *MODEL).returncode == 0
    assert_one_sentence(gossamer("refine", two[0], mask), 2, "OUT")
    assert gossamer("refine", two[0], mask, "--out", two[0].with_name("r.png"), "--quiet").returncode == 0
    sheet = two[0].with_name("sheet.png")
    assert gossamer("compare", two[1], "--out", sheet, "--quiet").returncode == 0
    # A cut-out of ours is what compare reads: only a sheet is replaced by its place.
    assert_one_sentence(gossamer("compare", two[1], two[1], "--force"), 3, "g/b.png")
    assert gossamer("compare", sheet, two[1], "--force", "--quiet").returncode == 0


def test_names_that_begin_with_a_dash(gossamer: Run, two: tuple[Path, Path], tmp_path: Path) -> None:
    shutil.copy(two[0], tmp_path / "-a.png")
    assert gossamer("remove", *MODEL, "--", "-a.png").returncode == 0
    assert (tmp_path / "-a-cutout.png").exists()
    assert gossamer("remove", *MODEL, "--", "-a.png", "-b.png").returncode == 0
    assert (tmp_path / "-b.png").exists()
    assert gossamer("compare", "--", "-sheet.png", "-b.png").returncode == 0
    assert_one_sentence(gossamer("remove", two[0], "--background", "-a.png"), 2, "--background=VALUE")
    assert_one_sentence(gossamer("remove", "-a.png", *MODEL), 2, "begins with a dash", ": -- -a.png.")
    assert_one_sentence(gossamer("remove", two[0], "--mating", "key"), 2, "--mating", "Did you mean --matting")


def test_names_too_long(gossamer: Run, photograph: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    assert_one_sentence(gossamer("remove", photograph, "b" * 300 + ".png"), 3, "Give a shorter name.")
    assert_one_sentence(gossamer("remove", "b" * 300 + ".png"), 2, "Give a shorter name.")
    assert_one_sentence(gossamer("remove", "d/" * 2500 + "b.png"), 2, "Give a shorter name.")
    assert_one_sentence(gossamer("segment", photograph, "c" * 250, "--box", "1,1,90,90"), 3, "Give a shorter name.")
    assert_one_sentence(gossamer("compare", "b" * 300 + ".png", photograph), 3, "Give a shorter name.")
    assert sorted(tmp_path.iterdir()) == before
    long = tmp_path / ("a" * 250 + ".jpg")
    photograph.rename(long)
    assert_one_sentence(gossamer("remove", long, *MODEL), 3, "Give a shorter name", "--out")
    assert gossamer("remove", long, "--out", "short.png", *MODEL).returncode == 0


@pytest.mark.long
def test_addresses_and_homes(gossamer: Run, photograph: Path, tmp_path: Path) -> None:
    told = gossamer("remove", "https://me:secret@example.org/a.jpg")
    assert_one_sentence(told, 2, "https://example.org/a.jpg is an address", "Download it first")
    assert b"secret" not in told.stderr
    assert_one_sentence(gossamer("remove", photograph, "https://example.org/a.png"), 3, "address")
    assert_one_sentence(gossamer("remove", photograph, "--background", "http://example.org/a.png"), 2, "Download")
    assert_one_sentence(gossamer("remove", "file://server/share/a.jpg"), 2, "address")
    assert gossamer("remove", photograph.as_uri(), "a.png", *MODEL).returncode == 0
    assert gossamer("remove", photograph.as_uri(), *MODEL).returncode == 0
    assert photograph.with_name("photo-cutout.png").exists()
    photograph.with_name("photo-cutout.png").unlink()
    assert gossamer("remove", "~/photo.jpg", *MODEL, HOME=str(tmp_path)).returncode == 0
    assert photograph.with_name("photo-cutout.png").exists()
    assert gossamer("remove", "~/photo.jpg", "--out", "~/b.png", *MODEL, HOME=str(tmp_path)).returncode == 0
    assert (tmp_path / "b.png").exists()


def test_the_source_is_looked_for_before_its_folder_is_blamed(gossamer: Run, photograph: Path, tmp_path: Path) -> None:
    assert_one_sentence(gossamer("remove", "nowhere/a.jpg"), 2, "nowhere/a.jpg does not exist")
    assert_one_sentence(gossamer("remove", ""), 2, "name of the picture is empty")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    assert_one_sentence(gossamer("remove", "loop.jpg"), 2, "circle")
    assert_one_sentence(gossamer("remove", photograph, "loop.jpg", "--background", "red"), 3, "circle")
    assert_one_sentence(gossamer("remove", "photo.jpg/a.jpg"), 2, "photo.jpg/a.jpg")
    (tmp_path / "away.png").symlink_to("no/such/folder/x.png")
    assert_one_sentence(gossamer("remove", photograph, "--out", "away.png", "--force"), 3, "folder")


def test_two_outputs_are_two_files(gossamer: Run, photograph: Path) -> None:
    both = ("--disagreement", "./out.png", "--model", "u2netp,u2net")
    assert_one_sentence(gossamer("remove", photograph, "out.png", *both), 3, "same file")


def test_a_picture_too_large_for_its_format_is_told_before_the_model_runs(gossamer: Run, tmp_path: Path) -> None:
    PIL.Image.new("L", (17000, 8)).save(tmp_path / "wide.png")
    absent = ("--model", "absent.onnx")  # would be told first if it were loaded first
    assert_one_sentence(gossamer("remove", "wide.png", "o.webp", *absent), 3, "16383", "PNG or TIFF")
    PIL.Image.new("L", (17000, 8), 255).save(tmp_path / "mask.png")
    assert_one_sentence(gossamer("refine", "wide.png", "mask.png", "o.webp"), 3, "16383")
    (tmp_path / "r.toml").write_text("")
    recipes = ("--recipe", "r.toml", "--recipe", "r.toml", "--width", "5000")
    assert_one_sentence(gossamer("compare", "s.webp", "wide.png", *recipes, *absent), 3, "16383")


@pytest.mark.long
def test_recipes_and_prompts_of_windows_editors(gossamer: Run, photograph: Path, tmp_path: Path) -> None:
    text = '[background]\r\nfill = "#0000ff"\r\n'
    for encoding in ("utf-8-sig", "utf-16-be"):
        mark = "\ufeff" if encoding == "utf-16-be" else ""
        (tmp_path / "r.toml").write_bytes((mark + text).encode(encoding))
        out = tmp_path / f"{encoding}.png"
        done = gossamer("remove", photograph, out, "--recipe", "r.toml", "--model", "u2netp")
        assert done.returncode == 0, done.stderr
        with PIL.Image.open(out) as picture:
            assert picture.getpixel((5, 5)) == (0, 0, 255)
    (tmp_path / "r.toml").write_bytes("# é".encode("latin-1"))
    assert_one_sentence(gossamer("remove", photograph, "--recipe", "r.toml"), 2, "UTF-8")
    (tmp_path / "p.json").write_bytes("\ufeff".encode() + b'{"box": [1, 1]}')
    # That its box is too short is only seen once it is read.
    assert_one_sentence(gossamer("remove", photograph, "--prompt", "p.json"), 2, "2 numbers, not 4")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--background", "whit"), ["neither a colour nor", "white"]),
        (("--background", "absent.jpg"), ["absent.jpg does not exist"]),
        (("--background", "300,0,0"), ["#rrggbb"]),
        (("--background", "."), ["folder"]),
        (("--model", "isnet"), ["isnet-general-use or isnet-anime"]),
        (("--model", "RMBG2"), ["rmbg-2.0"]),
        (("--prompt-model", "sam2.1", "--box", "1,1,50,50"), ["sam2.1-hiera"]),
    ],
)
def test_what_is_wrong_is_told_first_and_what_is_right_proposed(
    gossamer: Run, photograph: Path, options: tuple[str, ...], words: list[str]
) -> None:
    # Nothing is installed there: to load a model would be told otherwise.
    home = {"GOSSAMER_HOME": str(photograph.with_name("home")), "GOSSAMER_OFFLINE": "1", "HOME": str(photograph.parent)}
    done = gossamer("remove", photograph, "--quiet", *options, **home)
    assert_one_sentence(done, 4 if options[0] == "--model" else 2, *words)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("models", "fetch"), "There is no action 'fetch' of gossamer models. Did you mean get? Choose one of: list, "),
        (("models", "Download", "u2net"), "There is no action 'Download' of gossamer models. Did you mean get? "),
        (("models", "ls"), "There is no action 'ls' of gossamer models. Did you mean list? "),
        (("models", "check"), "There is no action 'check' of gossamer models. Did you mean verify? "),
        (("models", "where"), "There is no action 'where' of gossamer models. Did you mean path? "),
        (("models", "gte"), "There is no action 'gte' of gossamer models. Did you mean get? "),
        (("models", "xyz"), "There is no action 'xyz' of gossamer models. Choose one of: list, get, path, verify, "),
        (("gimp", "remove"), "There is no action 'remove' of gossamer gimp. Did you mean uninstall? Choose one of: "),
        (("cut", "a.jpg"), "There is no command 'cut'. Did you mean remove? Choose one of: remove, batch, "),
        (("fetch", "u2net"), "There is no command 'fetch'. Did you mean models get? Choose one of: remove, "),
        (
            ("remove", "a.jpg", "--matting", "closd_form"),
            "--matting cannot be 'closd_form'. Did you mean closed_form? ",
        ),
        (
            ("remove", "a.jpg", "--shadow", "keep"),  # the photograph's own, and that which is made
            "--shadow cannot be 'keep'. Did you mean --foreground-shadow keep? Choose one of: none, drop, ",
        ),
        (
            ("batch", "a", "--out", "b", "--foreground-shadow", "contact"),
            "--foreground-shadow cannot be 'contact'. Did you mean --shadow contact? Choose one of: none, keep.",
        ),
        (
            ("remove", "a.jpg", "--foreground", "vitmatte"),
            "--foreground cannot be 'vitmatte'. Did you mean --matting vitmatte? ",
        ),
        (
            ("video", "a.mkv", "b.mov", "--hold", "contact"),  # flags of what a clip does not have are not proposed
            "--hold cannot be 'contact'. Choose one of: auto, none, flow.",
        ),
        (
            ("models", "get", "auto", "--quality", "it's"),
            '--quality cannot be "it\'s". Choose one of: fast, balanced, ',
        ),
    ],
)
def test_commands_of_other_programs_are_understood(gossamer: Run, arguments: tuple[str, ...], sentence: str) -> None:
    done = gossamer(*arguments)
    assert done.returncode == 2
    assert done.stderr.decode().startswith(f"gossamer: {sentence}")
    assert done.stderr.count(b"\n") == 1


def test_a_model_named_twice_is_refused(gossamer: Run, photograph: Path) -> None:
    done = gossamer("remove", photograph, "--quiet", "--model", "u2netp,u2net, u2netp")
    assert_one_sentence(done, 2, "The model u2netp is named twice. Name each once: with itself it makes no other mask.")


def test_no_second_file_costs_a_photograph(gossamer: Run, two: tuple[Path, Path]) -> None:
    """``--force`` replaces earlier results; what else is named beside OUT may be the photograph itself."""
    source, other = two
    before = [path.read_bytes() for path in two]
    mask, out, layer = (source.with_name(name) for name in ("mask.png", "out.png", "layer.png"))
    PIL.Image.new("L", (90, 60), 255).save(mask)
    remove, refine = ("remove", source, out, *MODEL), ("refine", source, mask, out)
    twice = ("remove", source, out, "--model", "quick.onnx,quick.onnx", "--architecture", "u2net")
    for command, option in ((remove, "--shadow-layer"), (refine, "--shadow-layer"), (twice, "--disagreement")):
        for name in (source, other):
            assert_one_sentence(gossamer(*command, option, name, "--force"), 3, str(name), option, "no earlier result")
    both = ("--shadow-layer", layer, "--disagreement", layer, "--force")
    assert_one_sentence(gossamer(*twice, *both), 3, "--shadow-layer and --disagreement are the same file")
    numbered = source.with_name("a-1.png")
    shutil.copy(source, numbered)
    found = gossamer("segment", numbered, numbered.with_name("a"), "--force", "--box", "10%,10%,90%,90%")
    assert_one_sentence(found, 3, "a-1.png exists and is no earlier result")
    assert [path.read_bytes() for path in (*two, numbered)] == [*before, before[0]]
    assert not out.exists()
    assert not layer.exists()
