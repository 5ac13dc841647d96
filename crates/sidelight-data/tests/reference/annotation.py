"""Writes files of annotations into annotation/ with the tools that people have, or reads what Sidelight wrote with their readers.

Two persons in a.png (64 x 48), one in b.png (40 x 60), three points each; see PEOPLE. Where a tool cannot be installed its file is
written here, as its documentation has it: CVAT's skeletons (docs.cvat.ai, "CVAT for image: format structure"), DeepLabCut's table
(written by pandas, as deeplabcut does), VIA's project (its user guide). YOLO's shares have six decimals, so its points are near those of
PEOPLE; sleap-io writes neither what is hidden nor, in Label Studio's tasks, the image, which is added.

Run:   python annotation.py            (datumaro 1.13, sleap-io 0.9, labelme 6.3, pandas 2.2)
Check: python annotation.py --check FOLDER
       FOLDER as the test `what_is_written_is_kept_for_the_peers` leaves it with SIDELIGHT_WRITTEN=FOLDER
       (also pycocotools 2.0, label-studio-sdk 2.1)
"""
import json
import os
import pathlib
import shutil
import sys

os.environ["QT_QPA_PLATFORM"] = "offscreen"
FOLDER = pathlib.Path(__file__).parent / "annotation"
POINTS = ["nose", "left_eye", "right_eye"]
LINES = [(0, 1), (0, 2)]
SIZES = {"a.png": (64, 48), "b.png": (40, 60)}
# x, y and how well it is seen (0: not labelled, 1: hidden, 2: seen); then a box.
PEOPLE = [
    ("a.png", [(10.5, 20.25, 2), (12.75, 18.0, 1), (8.25, 17.5, 2)], (6.5, 15.25, 10.0, 8.5)),
    ("a.png", [(40.0, 30.5, 2), (0.0, 0.0, 0), (37.25, 28.75, 2)], (35.0, 26.5, 8.25, 7.0)),
    ("b.png", [(20.5, 31.0, 2), (22.25, 29.5, 2), (18.0, 29.75, 2)], (15.5, 27.0, 9.5, 6.75)),
]


def images(folder):
    from PIL import Image

    folder.mkdir(parents=True)
    for at, (name, size) in enumerate(SIZES.items()):
        Image.new("RGB", size, (40 * at, 90, 120)).save(folder / name, optimize=True)


def datumaro_set():
    import datumaro as dm
    from datumaro.components.annotation import Bbox, LabelCategories, Points, PointsCategories

    labels = LabelCategories.from_iterable(["person"])
    points = PointsCategories.from_iterable([(0, POINTS, set(LINES))])
    items = []
    for at, name in enumerate(SIZES):
        annotations = []
        for group, (image, marks, box) in enumerate(PEOPLE, start=1):
            if image != name:
                continue
            said = {"weather": ["rain", "sun", "rain"][group - 1], "count": group}
            xy = [number for x, y, _ in marks for number in (x, y)]
            seen = [Points.Visibility(v) for *_, v in marks]
            annotations.append(Points(xy, seen, label=0, id=group, group=group, attributes=said))
            annotations.append(Bbox(*box, label=0, id=group, group=group, attributes=said))
        path = str(FOLDER / "images" / name)
        media = dm.components.media.Image.from_file(path=path)
        items.append(dm.DatasetItem(id=pathlib.Path(name).stem, media=media, annotations=annotations))
    categories = {dm.AnnotationType.label: labels, dm.AnnotationType.points: points}
    return dm.Dataset.from_iterable(items, categories=categories)


def by_datumaro():
    dataset = datumaro_set()
    for name, written in [("coco_person_keypoints", "annotations/person_keypoints_default.json"), ("cvat", "default.xml")]:
        target = pathlib.Path("/tmp/datumaro-export")
        shutil.rmtree(target, ignore_errors=True)
        dataset.export(str(target), name, save_media=False)
        ending = pathlib.Path(written).suffix
        shutil.copy(target / written, FOLDER / f"datumaro{ending}")


def sleap_labels():
    import sleap_io as sio

    skeleton = sio.Skeleton(nodes=list(POINTS), edges=[(POINTS[a], POINTS[b]) for a, b in LINES], name="person")
    frames = []
    for name in SIZES:
        video = sio.Video.from_filename([str(FOLDER / "images" / name)])
        instances = [
            sio.Instance.from_numpy(
                [[float("nan")] * 2 if v == 0 else [x, y] for x, y, v in marks], skeleton=skeleton
            )
            for image, marks, _ in PEOPLE
            if image == name
        ]
        frames.append(sio.LabeledFrame(video=video, frame_idx=0, instances=instances))
    return sio.Labels(frames)


def by_sleap():
    import sleap_io as sio
    from sleap_io.io import ultralytics

    labels = sleap_labels()
    sio.save_coco(labels, str(FOLDER / "sleap.json"), image_filenames=list(SIZES))
    ultralytics.write_labels(labels, str(FOLDER / "yolo"), split_ratios={"train": 0.5, "val": 0.5}, verbose=False)
    sio.save_labelstudio(labels, str(FOLDER / "labelstudio.json"))
    tasks = json.loads((FOLDER / "labelstudio.json").read_text())
    for task, name in zip(tasks, SIZES):
        task["data"] = {"image": f"/data/local-files/?d=my%20images/{name}", "site": "north"}
        del task["meta"]
    (FOLDER / "labelstudio.json").write_text(json.dumps(tasks, indent=1))


def by_labelme():
    from labelme._label_file import write_label_file

    folder = FOLDER / "labelme"
    folder.mkdir()
    for name, (width, height) in SIZES.items():
        shapes = []
        for group, (image, marks, (x, y, w, h)) in enumerate(PEOPLE, start=1):
            if image != name:
                continue
            shape = {"group_id": group, "description": "", "flags": {}, "mask": None}
            described = {"description": "of the left" if group == 1 else ""}
            corners = [[x, y], [x + w, y + h]]
            shapes.append(shape | described | {"label": "person", "points": corners, "shape_type": "rectangle"})
            for point, (px, py, v) in zip(POINTS, marks):
                flags = {"occluded": True} if v == 1 else {}
                if v:
                    mark = {"label": point, "points": [[px, py]], "shape_type": "point", "flags": flags}
                    shapes.append(shape | mark)
        write_label_file(
            str(folder / f"{name[0]}.json"),
            shapes=shapes,
            image_path=f"..\\images\\{name}",
            image_height=height,
            image_width=width,
            flags={"blurred": name == "b.png"},
        )


def cvat_skeletons():
    circles = "".join(
        f'&lt;circle r="1.5" cx="{10 * n}" cy="10" data-type="element node" data-element-id="{n}" data-node-id="{n}" '
        f'data-label-name="{name}"&gt;&lt;/circle&gt;'
        for n, name in enumerate(POINTS, start=1)
    )
    edges = "".join(
        f'&lt;line x1="1" y1="1" x2="2" y2="2" data-type="edge" data-node-from="{a + 1}" data-node-to="{b + 1}"&gt;&lt;/line&gt;'
        for a, b in LINES
    )
    parts = [
        "<?xml version='1.0' encoding='utf-8'?>\n<annotations>\n<version>1.1</version>\n<meta><task><labels>\n"
        "<label><name>person</name><type>skeleton</type><attributes><attribute><name>pose</name><mutable>False</mutable>"
        "<input_type>select</input_type><default_value>standing</default_value><values>standing\nsitting</values></attribute></attributes>"
        f"<svg>{edges}{circles}</svg></label>\n"
    ]
    for name in POINTS:
        parts.append(f"<label><name>{name}</name><type>points</type><attributes></attributes><parent>person</parent></label>\n")
    parts.append("</labels></task></meta>\n")
    for at, (name, (width, height)) in enumerate(SIZES.items()):
        parts.append(f'<image id="{at}" name="{name}" width="{width}" height="{height}">\n')
        parts.append('  <tag label="outdoors" source="manual"></tag>\n' if at == 1 else "")
        for image, marks, _ in PEOPLE:
            if image != name:
                continue
            parts.append('  <skeleton label="person" source="manual" z_order="0">\n')
            for point, (x, y, v) in zip(POINTS, marks):
                parts.append(
                    f'    <points label="{point}" source="manual" outside="{int(v == 0)}" occluded="{int(v == 1)}" points="{x:.2f},{y:.2f}">\n    </points>\n'
                )
            parts.append('    <attribute name="pose">sitting &amp; &lt;still&gt;</attribute>\n  </skeleton>\n')
        parts.append("</image>\n")
    parts.append("</annotations>\n")
    (FOLDER / "cvat.xml").write_text("".join(parts))


def by_pandas():
    import pandas as pd

    names = {"a.png": "labeled-data/walk/a.png", "b.png": "labeled-data/walk/b.png"}
    columns = pd.MultiIndex.from_product(
        [["me"], ["one", "two"], POINTS, ["x", "y"]], names=["scorer", "individuals", "bodyparts", "coords"]
    )
    rows = []
    for name in SIZES:
        people = [marks for image, marks, _ in PEOPLE if image == name]
        people += [[(0, 0, 0)] * 3] * (2 - len(people))
        rows.append([n if v else None for marks in people for x, y, v in marks for n in (x, y)])
    index = pd.MultiIndex.from_tuples([tuple(names[name].split("/")) for name in SIZES])
    pd.DataFrame(rows, index=index, columns=columns).to_csv(FOLDER / "dlc_several.csv")
    columns = pd.MultiIndex.from_product([["me"], POINTS, ["x", "y"]], names=["scorer", "bodyparts", "coords"])
    rows = [[n if v else None for x, y, v in PEOPLE[at][1] for n in (x, y)] for at in (1, 2)]
    pd.DataFrame(rows, index=list(names.values()), columns=columns).to_csv(FOLDER / "dlc_one.csv")


def via():
    import csv

    entries = {}
    for name in SIZES:
        regions = []
        for number, (image, marks, (x, y, w, h)) in enumerate(PEOPLE, start=1):
            if image != name:
                continue
            for point, (px, py, v) in zip(POINTS, marks):
                if v:
                    regions.append(
                        {
                            "shape_attributes": {"name": "point", "cx": px, "cy": py},
                            "region_attributes": {"name": point, "instance": str(number), "coat": "red"},
                        }
                    )
            regions.append(
                {
                    "shape_attributes": {"name": "rect", "x": x, "y": y, "width": w, "height": h},
                    "region_attributes": {"instance": str(number)},
                }
            )
        entries[f"{name}99"] = {"filename": name, "size": 99, "regions": regions, "file_attributes": {"site": "north"}}
    project = {"_via_settings": {}, "_via_img_metadata": entries, "_via_attributes": {}, "_via_data_format_version": "2.0.10"}
    (FOLDER / "via_project.json").write_text(json.dumps(project))
    (FOLDER / "via.json").write_text(json.dumps(entries))
    with open(FOLDER / "via.csv", "w", newline="") as file:
        writer = csv.writer(file)
        header = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"
        writer.writerow(header.split(","))
        for entry in entries.values():
            n = len(entry["regions"])
            for at, region in enumerate(entry["regions"]):
                cells = [json.dumps(found) for found in (entry["file_attributes"], region["shape_attributes"], region["region_attributes"])]
                writer.writerow([entry["filename"], 99, cells[0], n, at, cells[1], cells[2]])


def check(folder):
    """Reads what Sidelight wrote with the peers' own readers, and compares it with PEOPLE."""
    folder = pathlib.Path(folder)
    near = lambda one, other: all(abs(a - b) < 0.01 for a, b in zip(one, other, strict=True))

    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    coco = COCO(str(folder / "coco.json"))
    found = [coco.anns[key]["keypoints"] for key in sorted(coco.anns)]
    assert len(found) == 3 and all(near(f, sum(map(list, p[1]), [])) for f, p in zip(found, PEOPLE)), found
    scores = [{**ann, "score": 1.0} for ann in coco.anns.values()]
    evaluation = COCOeval(coco, coco.loadRes(scores), "keypoints")
    evaluation.params.kpt_oks_sigmas = evaluation.params.kpt_oks_sigmas[:3]
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    print("coco.json: read and scored by pycocotools")

    import sleap_io as sio
    from sleap_io.io import ultralytics

    labels = sio.load_coco(str(folder / "coco.json"), dataset_root=str(FOLDER / "images"))
    assert sum(len(frame.instances) for frame in labels) == 3
    print("coco.json: read by sleap-io")
    for split in ("train", "val"):
        shutil.copytree(FOLDER / "yolo" / split / "images", folder / "yolo" / split / "images", dirs_exist_ok=True)
        labels = ultralytics.read_labels(str(folder / "yolo"), split=split)
        assert labels.skeleton.node_names and len(labels.skeleton.edges) == 2
        found = [instance.numpy() for frame in labels for instance in frame.instances]
        print(f"yolo, {split}: read by sleap-io:", [points.round(2).tolist() for points in found])

    import datumaro as dm

    for name, kind in [("coco.json", "coco_person_keypoints"), ("cvat.xml", "cvat"), ("cvat_points.xml", "cvat")]:
        place = pathlib.Path("/tmp/datumaro-import")
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(FOLDER / "images", place / "images")
        if kind.startswith("coco"):
            (place / "annotations").mkdir()
            shutil.move(str(place / "images"), str(place / "x"))
            shutil.copytree(place / "x", place / "images" / "default")
            shutil.copy(folder / name, place / "annotations" / "person_keypoints_default.json")
        else:
            shutil.copy(folder / name, place / name)
        dataset = dm.Dataset.import_from(str(place), kind)
        n = sum(len(item.annotations) for item in dataset)
        print(f"{name}: read by datumaro: {n} annotations in {len(dataset)} images")
        assert n and len(dataset) == 2

    from labelme._label_file import read_label_file

    shutil.copytree(FOLDER / "images", folder / "images", dirs_exist_ok=True)
    for name in SIZES:
        label = read_label_file(str(folder / "labelme" / f"{name[0]}.json"))
        found = [shape["points"][0] for shape in label.shapes if shape["shape_type"] == "point"]
        true = [(x, y) for image, marks, _ in PEOPLE if image == name for x, y, v in marks if v]
        assert found == [list(xy) for xy in true], found
    print("labelme: read by labelme")

    from label_studio_sdk.label_interface import LabelInterface

    keys = "".join(f'<Label value="{name}"/>' for name in POINTS)
    interface = LabelInterface(
        f'<View><Image name="image" value="$image"/><KeyPointLabels name="point" toName="image">{keys}</KeyPointLabels>'
        '<RectangleLabels name="box" toName="image"><Label value="instance_class"/></RectangleLabels>'
        '<TextArea name="site" toName="image" perRegion="true"/></View>'
    )
    for task in json.loads((folder / "labelstudio.json").read_text()):
        for prediction in task["predictions"]:
            errors = interface.validate_prediction(prediction, return_errors=True)
            assert not errors, errors
    print("labelstudio.json: accepted by label-studio-sdk")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--check"]:
        check(sys.argv[2])
    else:
        shutil.rmtree(FOLDER, ignore_errors=True)
        images(FOLDER / "images")
        by_datumaro()
        by_sleap()
        by_labelme()
        cvat_skeletons()
        by_pandas()
        via()
