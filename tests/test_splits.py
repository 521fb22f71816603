"""Splits: the promises as properties, over random ids and groups."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tutseg.data.splits import LEAKS, make_split
from tutseg.errors import InputError


def material(n: int, n_groups: int, seed: int) -> tuple[list[str], list[str]]:
    rng = np.random.default_rng(seed)
    return [f"id_{number:05d}" for number in range(n)], [f"g{number}" for number in rng.integers(0, n_groups, n)]


def parts(split) -> dict[str, set[int]]:
    return {name: set(indices) for name, indices in vars(split).items()}


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(60, 300),
    n_groups=st.integers(25, 200),
    seed=st.integers(0, 99),
    fold=st.integers(0, 4),
    labelled=st.floats(0.05, 1),
    validation=st.floats(0, 0.5),
)
def test_parts_cover_all_once_and_no_group_is_separated(n, n_groups, seed, fold, labelled, validation):
    ids, groups = material(n, n_groups, seed)
    found = parts(make_split(ids, groups, labelled, fold, seed, validation=validation))
    assert sorted(itertools.chain(*found.values())) == list(range(n))
    train = found["labelled"] | found["unlabelled"]
    assert len(found["labelled"]) == int(labelled * len(train) + 1e-9)
    of = [{groups[index] for index in side} for side in (train, found["validation"], found["test"])]
    assert all(not a & b for a, b in itertools.combinations(of, 2))


def test_every_picture_is_tested_once_and_folds_are_even():
    ids, groups = material(500, 150, 3)
    tests = [make_split(ids, groups, 0.1, fold).test for fold in range(5)]
    assert sorted(itertools.chain(*tests)) == list(range(500))
    assert max(map(len, tests)) - min(map(len, tests)) <= 2


@pytest.mark.parametrize("protocol", ["honest", "paper"])
def test_labelled_subsets_are_nested(protocol):
    ids, groups = material(1000, 400, 0)
    subsets = [set(make_split(ids, groups, f, protocol=protocol).labelled) for f in (0.01, 0.02, 0.04, 0.08, 1)]
    assert all(small < large for small, large in itertools.pairwise(subsets))


def test_the_order_of_files_does_not_matter():
    ids, groups = material(200, 80, 1)
    order = np.random.default_rng(5).permutation(200)
    shuffled_ids, shuffled_groups = [ids[i] for i in order], [groups[i] for i in order]
    for protocol in ("honest", "paper"):
        a = make_split(ids, groups, 0.1, 2, 7, protocol=protocol)
        b = make_split(shuffled_ids, shuffled_groups, 0.1, 2, 7, protocol=protocol)
        assert a.fingerprint(ids) == b.fingerprint(shuffled_ids)
        assert {ids[i] for i in a.labelled} == {shuffled_ids[i] for i in b.labelled}


def test_the_seed_draws_labels_and_nothing_else():
    ids, groups = material(400, 200, 1)
    a, b = (make_split(ids, groups, 0.1, 1, seed) for seed in (0, 1))
    assert a.test == b.test and a.validation == b.validation
    assert a.labelled != b.labelled and a.fingerprint(ids) != b.fingerprint(ids)


def test_names_of_groups_do_not_matter():
    ids, groups = material(200, 80, 1)
    assert make_split(ids, groups, 0.1) == make_split(ids, [f"other {group}" for group in groups], 0.1)


def test_pinned():
    """A change of the rule would silently change every published number."""
    ids = [f"ISIC_{number:07d}" for number in range(100)]
    split = make_split(ids, ids, 0.05)
    assert [len(part) for part in vars(split).values()] == [3, 69, 8, 20]
    assert split.fingerprint(ids) == "35aa8e9161bd74ac54a2288ac9c52de6223c07d4e93f3234617bbbb590042545"


@pytest.mark.parametrize(("r", "labelled"), [(0.01, 29), (0.02, 59), (0.04, 118), (0.08, 236), (1, 2955)])
def test_paper_protocol_has_the_counts_of_dme_fd(r, labelled):
    """DME-FD: 3694 pictures of ISIC 2018, 2955 train / 739 test; HAM10000: 8012 / 2003."""
    ids = [f"ISIC_{number:07d}" for number in range(3694)]
    split = make_split(ids, ["one group"] * 3694, r, protocol="paper")
    assert len(split.labelled) == labelled and len(split.unlabelled) == 2955 - labelled
    assert len(split.test) == 739 and not split.validation
    assert [len(make_split(ids, ids, 1, fold, protocol="paper").test) for fold in range(5)] == [739] * 4 + [738]


@pytest.mark.parametrize(("r", "labelled"), [(0.01, 80), (0.02, 160), (0.04, 320), (0.08, 640)])
def test_paper_protocol_on_ham10000(r, labelled):
    ids = [f"ISIC_{number:07d}" for number in range(10015)]
    split = make_split(ids, ids, r, protocol="paper")
    assert (len(split.labelled), len(split.unlabelled), len(split.test)) == (labelled, 8012 - labelled, 2003)


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(40, 200), n_groups=st.integers(20, 200), seed=st.integers(0, 99), labelled=st.sampled_from([1.0, 0.8])
)
def test_a_leak_is_the_only_difference_between_its_three_splits(n, n_groups, seed, labelled):
    ids, groups = material(n, n_groups, seed)
    found = {name: parts(make_split(ids, groups, labelled, seed=seed, protocol=name)) for name in LEAKS}
    clean, kin, same = (found[name] for name in LEAKS)
    test = clean["test"]
    family = {i for i in range(n) if groups[i] in {groups[t] for t in test}}
    assert kin["test"] == same["test"] == test and kin["unlabelled"] == same["unlabelled"] == clean["unlabelled"]
    assert len(kin["labelled"]) == len(same["labelled"]) == len(clean["labelled"]) == int(labelled * (n - len(family)))
    assert not family & (clean["labelled"] | clean["unlabelled"])
    assert kin["labelled"] & family == family - test and same["labelled"] & family == test
    assert kin["labelled"] - family < clean["labelled"] and same["labelled"] - family < clean["labelled"]
    for group in {groups[t] for t in test}:  # of each group every second picture, by id, from the first on
        members = sorted((i for i in range(n) if groups[i] == group), key=lambda i: ids[i])
        assert len(members) > 1 and [i for i in members if i in test] == members[::2]
    # a quarter of the pictures is held, as far as whole groups go; fewer only if no group of two is left
    sizes = [groups.count(group) for group in set(groups)]
    assert len(family) <= n / 4
    assert len(family) + max(sizes) > n / 4 or len(family) == sum(size for size in sizes if size > 1)


def test_the_seed_of_a_leak_draws_other_groups_and_the_order_of_files_nothing():
    ids, groups = material(200, 60, 1)
    tests = [make_split(ids, groups, 1.0, seed=seed, protocol="with-kin").test for seed in (0, 1)]
    assert tests[0] != tests[1]
    order = np.random.default_rng(5).permutation(200)
    shuffled = [[names[i] for i in order] for names in (ids, groups)]
    for name in LEAKS:
        a, b = (make_split(*names, 0.9, seed=3, protocol=name) for names in ((ids, groups), shuffled))
        assert a.fingerprint(ids) == b.fingerprint(shuffled[0])


@pytest.mark.parametrize(
    ("groups", "labelled", "words"),
    [
        ([str(i) for i in range(40)], 1.0, "no group of this data has kin"),
        ([str(i // 2) for i in range(40)], 4, "4 training pictures have no room for 5 leaked"),
        ([str(i // 2) for i in range(40)], 31, "31 labelled pictures of 30"),
    ],
)
def test_a_leak_that_cannot_be_measured(groups, labelled, words):
    with pytest.raises(InputError, match=words):
        make_split([f"{i:02d}" for i in range(40)], groups, labelled, protocol="without-kin")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"labelled": 0.001}, "gives no image"),
        ({"labelled": 0}, "out of range"),
        ({"labelled": 1.5}, "out of range"),
        ({"labelled": 0.5, "fold": 5}, "fold 5 of 5"),
        ({"labelled": 0.5, "fold": -1}, "does not exist"),
        ({"labelled": 0.5, "validation": 1.0}, "validation fraction"),
        ({"labelled": 0.5, "protocol": "papr"}, "did you mean paper"),
        ({"labelled": 0.5, "folds": 200}, "100 groups cannot be split into 200"),
    ],
)
def test_bad_options(options, words):
    ids = [str(number) for number in range(100)]
    with pytest.raises(InputError, match=words) as error:
        make_split(ids, ids, **options)
    assert error.value.remedy


def test_repeated_ids_are_refused():
    with pytest.raises(InputError, match="same id"):
        make_split(["a", "a", "b"], ["1", "2", "3"], 0.5, folds=2)
