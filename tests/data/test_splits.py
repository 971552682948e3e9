import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import train_test_split

from seisml.data.splits import event_hashes, event_ids, make_split, overlap
from seisml.errors import UserError

AKNES = {
    "Noise": 8,
    "Regional": 292,
    "Rockfall": 215,
    "Slope_HF": 448,
    "Slope_LF": 218,
    "Slope_Multi": 207,
    "Slope_Tremor": 212,
    "Spike": 218,
    "Unlabeled": 1611,
}


@pytest.fixture(scope="module")
def aknes() -> pd.DataFrame:
    """Metadata with the published counts, one file per event, rows in no order."""
    labels = np.repeat(list(AKNES), list(AKNES.values()))
    frame = pd.DataFrame(
        {
            "trace_name": [f"bucket0${row},:24,:16000" for row in range(len(labels))],
            "trace_category": labels,
            "trace_source_file": [f"{label}/2021_{row % 365:03d}_{row}.dat" for row, label in enumerate(labels)],
            "source_id": [f"event{row}" for row in range(len(labels))],
            "station_code": "",
            "trace_start_time": "2021-01-01T00:00:00Z",
        }
    )
    return frame.sample(frac=1, random_state=3).reset_index(drop=True)


@pytest.fixture(scope="module")
def network() -> pd.DataFrame:
    """60 events at 5 stations; every third event gives a noise record too, some events are unlabelled."""
    rows = []
    for event in range(60):
        label = "ABCU"[event % 4]
        for station in range(5):
            for kind in [label, "noise"] if event % 3 == 0 and label != "U" else [label]:
                rows.append(
                    {
                        "trace_name": f"bucket0${len(rows)},:3,:100",
                        "trace_category": "Unlabeled" if kind == "U" else kind,
                        "trace_source_file": f"day{event // 10}.mseed",
                        "source_id": f"ev{event:02d}",
                        "station_code": f"ST{station}",
                        "trace_start_time": f"2020-01-{1 + event // 3:02d}T{event % 3:02d}:00:0{len(kind)}Z",
                    }
                )
    return pd.DataFrame(rows).sample(frac=1, random_state=1).reset_index(drop=True)


def files(metadata: pd.DataFrame, rows: np.ndarray) -> set[str]:
    return set(metadata["trace_source_file"].iloc[rows])


def classes(metadata: pd.DataFrame, rows: np.ndarray) -> set[str]:
    return set(metadata["trace_category"].iloc[rows])


def scikit_learns(metadata: pd.DataFrame, names: set[str], ratio: float, seed: int) -> tuple[set[str], set[str]]:
    """Files of the training and test parts of the published code, over the rows of some classes."""
    table = sorted(
        (label, file.rsplit("/", 1)[1], file)
        for label, file in zip(metadata["trace_category"], metadata["trace_source_file"], strict=True)
        if label in names
    )
    codes = [sorted(names).index(label) for label, _, _ in table]
    parts = train_test_split(
        np.arange(len(table)), train_size=ratio, test_size=0.2, stratify=codes, random_state=seed
    )
    train, test = ({table[i][2] for i in part} for part in parts)
    return train, test


@pytest.mark.parametrize("procedure", ["stratified", "published"])
@pytest.mark.parametrize("ratio", [0.8, 0.05, 0.1])
@pytest.mark.parametrize("seed", [0, 7])
def test_supervised_membership_is_scikit_learns(aknes, procedure, ratio, seed):
    train, test = scikit_learns(aknes, set(AKNES) - {"Unlabeled"}, ratio, seed)
    split = make_split(aknes, procedure=procedure, train_data_ratio=ratio, test_data_ratio=0.2, seed=seed)
    assert (files(aknes, split.train), files(aknes, split.test), len(split.dev)) == (train, test, 0)


@pytest.mark.parametrize(("ratio", "count"), [(0.8, 2743), (0.1, 342), (0.05, 171)])
@pytest.mark.parametrize("seed", [0, 7])
def test_published_pretraining_splits_all_rows(aknes, ratio, count, seed):
    """Unlabelled rows are a class of their own; those of the test part go unused."""
    train, test = scikit_learns(aknes, set(AKNES), ratio, seed)
    split = make_split(aknes, procedure="published", is_ssl=True, train_data_ratio=ratio, seed=seed)
    assert files(aknes, split.train) == train and len(train) == count
    assert files(aknes, split.test) == {file for file in test if not file.startswith("Unlabeled")}


def test_published_pretraining_with_a_dev_part(aknes):
    whole = make_split(aknes, procedure="published", is_ssl=True)
    split = make_split(aknes, procedure="published", is_ssl=True, dev_data_ratio=0.25)
    np.testing.assert_array_equal(split.test, whole.test)
    assert set(split.train) | set(split.dev) < set(whole.train) and not set(split.train) & set(split.dev)
    assert "Unlabeled" in classes(aknes, split.train) and "Unlabeled" not in classes(aknes, split.dev)


def test_pretraining_takes_unlabelled_rows_to_train_on(aknes):
    supervised, ssl = make_split(aknes), make_split(aknes, is_ssl=True)
    unlabelled = np.flatnonzero(aknes["trace_category"] == "Unlabeled")
    np.testing.assert_array_equal(ssl.test, supervised.test)
    np.testing.assert_array_equal(ssl.train, np.sort(np.concatenate([supervised.train, unlabelled])))
    assert "Unlabeled" not in classes(aknes, supervised.train)
    assert ssl.hash != supervised.hash


def test_dev_comes_out_of_train(aknes):
    whole, split = make_split(aknes), make_split(aknes, dev_data_ratio=0.25)
    np.testing.assert_array_equal(np.sort(np.concatenate([split.train, split.dev])), whole.train)
    np.testing.assert_array_equal(split.test, whole.test)
    assert len(split.dev) == pytest.approx(0.25 * len(whole.train), abs=1)


def test_row_order_does_not_matter_and_hash_names_the_membership(aknes):
    shuffled = aknes.sample(frac=1, random_state=9).reset_index(drop=True)
    for kwargs in ({}, {"procedure": "fixed_test", "by": "event"}):
        one, two = make_split(aknes, **kwargs), make_split(shuffled, **kwargs)
        assert files(aknes, one.train) == files(shuffled, two.train)
        assert one.hash == two.hash and len(one.hash) == 64
        assert one.hash != make_split(aknes, seed=1, **kwargs).hash


@pytest.mark.parametrize("by", ["record", "event"])
def test_fixed_test_never_moves_and_fractions_are_nested(aknes, by):
    splits = [
        make_split(aknes, procedure="fixed_test", by=by, train_data_ratio=ratio) for ratio in (0.05, 0.1, 0.4, 0.8)
    ]
    for small, large in zip(splits, splits[1:], strict=False):
        assert set(small.train) < set(large.train)
        np.testing.assert_array_equal(small.test, large.test)
    n_labelled = sum(AKNES.values()) - AKNES["Unlabeled"]
    assert len(splits[-1].train) + len(splits[-1].test) == n_labelled  # 0.8 with a test part of 0.2: all of the rest
    assert len(splits[-1].test) == round(0.2 * n_labelled)
    assert len(splits[0].train) == round(0.05 / 0.8 * len(splits[-1].train))
    for split in splits:
        for rows in (split.train, split.test):
            counts = aknes["trace_category"].iloc[rows].value_counts()
            for label in set(AKNES) - {"Unlabeled"}:
                assert counts[label] == pytest.approx(AKNES[label] * len(rows) / n_labelled, abs=1.01)


@pytest.mark.parametrize("by", ["event", "station", "time"])
@pytest.mark.parametrize("is_ssl", [False, True])
def test_groups_stay_apart(network, by, is_ssl):
    split = make_split(network, procedure="fixed_test", by=by, dev_data_ratio=0.25, is_ssl=is_ssl)
    split.check_events(network)
    assert len(split.train) and len(split.dev) and len(split.test)
    held = np.concatenate([split.dev, split.test])
    assert "Unlabeled" not in classes(network, held)
    assert ("Unlabeled" in classes(network, split.train)) == is_ssl
    if by == "station":
        stations = network["station_code"].to_numpy()
        assert not set(stations[split.test]) & set(stations[np.concatenate([split.train, split.dev])])
    if by == "time":
        times = network["trace_start_time"].to_numpy()
        assert max(times[split.train]) < min(times[split.dev]) < max(times[split.dev]) < min(times[split.test])
    if by == "event":
        assert classes(network, split.train) - {"Unlabeled"} == classes(network, split.test) == {"A", "B", "C", "noise"}
        labelled = network[network["trace_category"] != "Unlabeled"]
        assert len(set(network["source_id"].iloc[split.test])) == round(0.2 * labelled["source_id"].nunique())


def test_grouped_label_fractions_count_events_and_keep_every_class(network):
    sizes = []
    for ratio in (0.05, 0.1, 0.8):
        split = make_split(network, procedure="fixed_test", by="event", train_data_ratio=ratio)
        assert classes(network, split.train) == {"A", "B", "C", "noise"}
        events = network["source_id"].iloc[split.train]
        whole = network[network["source_id"].isin(events) & (network["trace_category"] != "Unlabeled")]
        assert len(whole) == len(split.train)  # whole events
        sizes.append(events.nunique())
    assert sizes == [4, 5, 36]  # of 36 training events; 5 % would be 2, which cannot hold four classes


def test_unlabelled_record_of_a_test_event_does_not_train(network):
    mixed = network.copy()
    test_events = mixed["source_id"].iloc[make_split(mixed, by="event").test].unique()
    more = mixed[mixed["source_id"] == test_events[0]].assign(trace_category="Unlabeled", trace_name="more")
    mixed = pd.concat([mixed, more], ignore_index=True)
    split = make_split(mixed, by="event", is_ssl=True)
    assert test_events[0] not in set(mixed["source_id"].iloc[split.train])
    split.check_events(mixed)


def test_shared_event_is_refused_by_name(network):
    split = make_split(network, procedure="published", by="record")
    with pytest.raises(UserError, match=r"event 'ev\d\d'.*train and the test.*split_by=event"):
        split.check_events(network)


def test_column_follows_the_split_column(aknes):
    parts = np.where(np.arange(len(aknes)) % 4 == 0, "test", np.where(np.arange(len(aknes)) % 4 == 1, "dev", "train"))
    frame = aknes.assign(split=parts)
    split = make_split(frame, procedure="column")
    labelled = frame["trace_category"] != "Unlabeled"
    for part in ("train", "dev", "test"):
        np.testing.assert_array_equal(getattr(split, part), np.flatnonzero((frame["split"] == part) & labelled))
    ssl = make_split(frame, procedure="column", is_ssl=True)
    np.testing.assert_array_equal(ssl.train, np.flatnonzero(frame["split"] == "train"))
    with pytest.raises(UserError, match="column 'split'"):
        make_split(aknes, procedure="column")


def test_written_split_lists_every_row(network, tmp_path):
    split = make_split(network, by="event", dev_data_ratio=0.2)
    split.write(tmp_path / "split.csv", network)
    frame = pd.read_csv(tmp_path / "split.csv")
    assert list(frame) == ["part", "row", "trace_name", "source_id", "trace_category"]
    for part in ("train", "dev", "test"):
        np.testing.assert_array_equal(frame.loc[frame["part"] == part, "row"], getattr(split, part))
    np.testing.assert_array_equal(frame["trace_name"], network["trace_name"].iloc[frame["row"]])


def test_overlap_with_what_an_encoder_has_seen(network):
    split = make_split(network, by="event")
    events = event_ids(network)
    assert overlap(event_hashes(np.unique(events[split.train])), network, split.test)["seen"] == 0
    seen = np.unique(events[split.test])[:2]
    report = overlap(event_hashes(seen), network, split.test)
    assert (report["seen"], report["first"]) == (2, list(seen))
    assert report["fraction"] == pytest.approx(2 / report["events"])


def test_event_hashes_are_stable():
    hashes = event_hashes(["a", "b", "a"])
    assert hashes.dtype == np.int64 and hashes[0] == hashes[2] != hashes[1]
    assert hashes[0] == 3405396810240292928  # blake2b, 8 bytes, little endian


def test_an_unknown_event_is_its_own(network):
    frame = network.assign(source_id=np.where(network["trace_category"] == "noise", None, network["source_id"]))
    assert len(np.unique(event_ids(frame))) == 60 + (frame["trace_category"] == "noise").sum()
    make_split(frame, by="event").check_events(frame)


def test_only_unlabelled_records_can_still_pretrain(aknes):
    frame = aknes.assign(trace_category="Unlabeled")
    assert len(make_split(frame, is_ssl=True).train) == len(frame)
    with pytest.raises(UserError, match="no labelled record"):
        make_split(frame)


@pytest.mark.parametrize(
    ("changes", "kwargs", "message"),
    [
        ({"only": ("Spike", 1)}, {}, "class 'Spike' has one sample only"),
        ({"only": ("Spike", 1)}, {"procedure": "fixed_test"}, "class 'Spike' has one record only"),
        ({"only": ("Spike", 1)}, {"by": "event"}, "class 'Spike' has one event only.*split_by=record"),
        ({}, {"by": "station"}, "two or more values of station_code"),
        ({"drop": "trace_start_time"}, {"by": "time"}, "row 0 .*no trace_start_time"),
        ({}, {"train_data_ratio": 0.9}, "add up to more than 1"),
        ({}, {"train_data_ratio": 0.0}, "train_data_ratio=0"),
        ({}, {"test_data_ratio": -0.1}, "test_data_ratio=-0.1"),
        ({}, {"dev_data_ratio": 1.0}, "dev_data_ratio=1"),
        ({}, {"train_data_ratio": 0.001}, "gives 1 of 1818 records for 8 classes.*fixed_test"),
        ({}, {"by": "stations"}, "did you mean 'station'"),
        ({}, {"procedure": "publshed"}, "did you mean 'published'"),
    ],
)
def test_bad_input_is_one_line(aknes, changes, kwargs, message):
    frame = aknes
    if "only" in changes:
        label, count = changes["only"]
        mine = np.flatnonzero(frame["trace_category"] == label)
        frame = frame.drop(index=mine[count:]).reset_index(drop=True)
    if "drop" in changes:
        frame = frame.drop(columns=changes["drop"])
    with pytest.raises(UserError, match=message) as error:
        make_split(frame, **kwargs)
    assert "\n" not in str(error.value)
