# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     name: python3
# ---

# %% [markdown]
# # Your own pictures
#
# You have a folder of pictures, and outlines for some of them. This page walks from there to a mask for every picture, in
# five steps: **init** says how the folder is understood, **train** learns from the few and the many, **predict** draws
# the missing masks, you **look**, and **score** says how good they are. All of it runs here, on pictures that the package
# draws in the place of yours; `$` begins what you would type in a terminal, and below it stands what the program said.

# %% tags=["parameters"]
PROFILE = "lab"  # lab, gpu or paper

# %%
from tutseg.workflow.profiles import load_profile

profile = load_profile("06_own_pictures", PROFILE)
settings = profile.settings
print(f"profile {PROFILE}: {profile.hardware}, about {profile.minutes:g} minutes")
print(f"expect: {profile.expect}")

# %% [markdown]
# ## A folder
#
# In a new folder: pictures of moles in `moles/`, of which all but a few lose their masks, and others in `moles-test/`, which
# training will never see.

# %%
import os
import tempfile
from pathlib import Path

from tutseg.report.shell import shell

os.chdir(tempfile.mkdtemp(prefix="own-pictures-"))
shell(f"tutseg data synth --n {settings['pictures']} --out moles")
shell(f"tutseg data synth --n {settings['tested']} --seed 7 --out moles-test")
for mask in sorted(Path("moles/masks").iterdir())[settings["masks"] :]:
    mask.unlink()
print(len(list(Path("moles/masks").iterdir())), "masks are left in moles/masks")

# %% [markdown]
# ## init: what the program understands
#
# Before anything is trained, ask. The command opens every picture, changes nothing, and says which file it takes for
# a mask of which picture, what it leaves out and why, and what looks wrong.

# %%
shell("tutseg data init moles")

# %% [markdown]
# The mosaic is a file beside the folder. Are the outlines where they belong? A mask that is shifted, inverted or another
# picture's is seen here at once, and nowhere later.

# %% tags=["hide-input"]
from tutseg.report.photographs import Stored

Stored(
    Path("moles-overview.png"),
    "Drawn moles, the first ones with the outline of their mask, the last ones without.",
)

# %% [markdown]
# ### Layouts
#
# Folders differ. One rule reads them: without its ending, without a word for "mask" at its end, and without folders that
# only say what is in them (`images/`, `masks/`, `labelled/`, `unlabelled/`), a mask's path is its picture's. These
# folders are made now, of empty files, since no picture is opened to understand them:

# %% tags=["hide-input"]
from tutseg.data.read_folder import understand
from tutseg.report.table import Table

folders = [
    ("images/a.jpg", "images/b.jpg", "masks/a.png"),
    ("labelled/a.jpg", "labelled/a_mask.png", "unlabelled/b.jpg"),
    ("a.jpg", "a_segmentation.png", "b.jpg"),
    ("images/ann/1.jpg", "images/bob/1.jpg", "masks/ann/1.png"),
    ("ann/images/1.jpg", "ann/masks/1.png", "bob/images/1.jpg"),
    ("one/x.jpg", "two/y.png", "three/z.jpg", "pairs.csv"),
]
rows = []
for at, names in enumerate(folders):
    for path in (Path(f"layout-{at}") / name for name in names):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("image;mask\none/x.jpg;two/y.png\nthree/z.jpg;\n")
    found = understand(Path(f"layout-{at}"))
    pairs = [f"{i.id}: {i.mask.name if i.mask else 'no mask'}" for i in found.items]
    rows.append((", ".join(names), found.layout, "; ".join(pairs)))
Table(
    ("files", "understood as", "pictures"),
    tuple(rows),
    "Six folders, and how they are read",
)

# %% [markdown]
# Where two readings are possible there is none: two masks that fit one picture, one mask that fits two, a table that names
# a missing file each end with a line that says so.
#
# **Who must stay together?** Near-copies always do, and so do the rows of one `patient` (or `group`, `lesion`, `video`, ...)
# in a table, or the pictures of one sub-folder if there are at least five sub-folders. Is the patient in the file's name?
# `-d group='(P[0-9]+)_'` says where.
#
# ## train: from the few and the many
#
# A semi-supervised method takes the pictures with masks as labelled, and the others as unlabelled. `cps` lets two networks
# teach each other; [other methods](../book/nets-and-methods.md) do it otherwise. `--pretrained` starts from a network that has seen a
# million photographs, where that file is here (`tutseg weights list`).

# %%
from tutseg.weights import locate

begin = "--pretrained" if locate("efficientnet-lite0") else ""
shell(
    "tutseg train cps --data folder --root moles --test moles-test --out moles-run "
    f"--net lite0-unet {begin} --size {settings['size']} --steps {settings['steps']} "
    "--batch 8"
)

# %% [markdown]
# `--test` names a folder of pictures *and* masks that nothing else sees. Without it, a part of the pictures that have masks
# is split off by group and tested; with `--test none` all of them train, and there is no score.
#
# ## predict: the masks that are missing

# %%
shell("tutseg predict moles-run moles --rest --out moles-masks --overlay")

# %% [markdown]
# Masks are as large as their pictures, and bear their names. Nothing of yours is ever written over: neither a picture nor
# a mask that you drew.
#
# ## look

# %% tags=["hide-input"]
from tutseg.data.decode import read_image
from tutseg.report.photographs import pictures

overlays = sorted(Path("moles-masks").glob("*_overlay.png"))[:12]
pictures([read_image(p) for p in overlays], [p.stem.split("_")[0] for p in overlays])

# %% [markdown]
# Some are right, some are not. Correct the worst by hand, put them into `moles/masks`, and train again: that is worth more
# than most methods of this book.
#
# ## score
#
# How good are they? Only pictures with a mask that you trust, and that no training has seen, can say.

# %%
shell("tutseg predict moles-run moles-test/images --out moles-test-masks")
shell("tutseg score moles-test-masks moles-test/masks")

# %% tags=["remove-input"]
import json

from tutseg.report.say import say

result = json.loads(Path("moles-run/result.json").read_text())
dice = result["scores"]["branch1"]["dice"]["per_image"]
say(
    "From {masks} masks and {bare} pictures without one, Dice on {n} pictures that "
    "training has not seen is {mean:share}, with a standard deviation of "
    "{spread:points} from picture to picture.",
    masks=result["n"]["labelled"],
    bare=result["n"]["unlabelled"],
    n=dice["n"],
    mean=dice["mean"],
    spread=dice["std"],
)

# %% [markdown]
# Training has scored the same pictures at the network's own size, `score` at theirs, so the two differ by a little. And a
# mean over so few pictures is itself uncertain; chapters give an interval for that reason.
#
# ## Exercises
#
# ```{exercise-start} ★ Ten patients
# :label: ex-own-patients
# ```
# Each of ten patients has a sub-folder with eight photographs, and you have outlined two in each. What is in the test part
# if you give no `--test`? What would go wrong with a split by picture?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-own-patients
# :class: dropdown
# ```
# Sub-folders are groups, since there are at least five. Folds are dealt among the pictures with masks, so a fold is two
# patients with their four outlined photographs; their other twelve are in no part, since training on them would show the
# network the skin it is tested on. A split by picture does just that, and its score is too high.
# ```{solution-end}
# ```
