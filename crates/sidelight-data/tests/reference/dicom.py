"""Writes dicom/*.dcm, small files of each kind that hospitals have, and dicom.json, what pydicom shows of them.

Run: python dicom.py     (pydicom 3, numpy, pillow, python-gdcm)
"""
import io
import json
import pathlib
import sys

import numpy as np
from PIL import Image
from pydicom import Dataset, FileMetaDataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut, convert_color_space
from pydicom.sequence import Sequence
from pydicom.uid import (
    ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit, RLELossless,
    SecondaryCaptureImageStorage,
)

HERE = pathlib.Path(__file__).parent
OUT = HERE / "dicom"
OUT.mkdir(exist_ok=True)
RNG = np.random.default_rng(20261129)
ROWS, COLUMNS = 8, 12
RAMP = np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS) / (ROWS * COLUMNS - 1)


def write(name, pixels, syntax=ExplicitVRLittleEndian, bits=16, stored=None, signed=0, data=None, **more):
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = "1.2.3." + str(len(list(OUT.iterdir())) + 1)
    ds.SOPClassUID, ds.SOPInstanceUID = SecondaryCaptureImageStorage, ds.file_meta.MediaStorageSOPInstanceUID
    ds.Rows, ds.Columns = ROWS, COLUMNS
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.PixelRepresentation = bits, stored or bits, signed
    ds.HighBit = ds.BitsStored - 1
    for keyword, value in more.items():
        setattr(ds, keyword, value)
    ds.PixelData = data if data is not None else np.ascontiguousarray(pixels).tobytes()
    ds["PixelData"].VR = "OB" if bits == 8 or syntax.is_encapsulated else "OW"
    if syntax.is_encapsulated:
        ds["PixelData"].is_undefined_length = True
    path = OUT / f"{name}.dcm"
    ds.save_as(path, enforce_file_format=True)
    return path


def words(low, high, kind):
    return (low + RAMP * (high - low)).round().astype(kind)


colours = np.stack([RAMP, 1 - RAMP, RAMP * RAMP], axis=-1)
colours = (colours * 255).round().astype(np.uint8)

nested = Dataset()
nested.CodeValue = "1"
inner = Dataset()
inner.ReferencedSOPInstanceUID = "1.2"
nested.PurposeOfReferenceCodeSequence = Sequence([inner])
sequence = Sequence([nested])
sequence.is_undefined_length = True
nested.is_undefined_length_sequence_item = True

write("window", words(900, 1700, "<i2"), ImplicitVRLittleEndian, signed=1, RescaleSlope="1", RescaleIntercept="-1024",
      WindowCenter=["40", "300"], WindowWidth=["400", "1500"], DerivationCodeSequence=sequence, PatientAge="045Y",
      PatientSex="F", Modality="CT", StudyDate="20040119", KVP="120", Manufacturer="ACME ")
write("inverted", words(0, 4095, "<u2"), stored=12, PhotometricInterpretation="MONOCHROME1", DerivationCodeSequence=sequence,
      PatientAge="018M", ViewPosition="PA", PixelSpacing=["0.143", "0.143"])
write("signed", words(-2048, 2047, "<i2"), stored=12, signed=1)
write("sigmoid", words(0, 4095, "<u2"), stored=12, WindowCenter="2000", WindowWidth="900", VOILUTFunction="SIGMOID")
write("exact", words(0, 4095, "<u2"), stored=12, WindowCenter="2000", WindowWidth="900", VOILUTFunction="LINEAR_EXACT")
write("eight", words(0, 255, "u1"), bits=8, WindowCenter="100", WindowWidth="50")
write("narrow", words(0, 255, "u1"), bits=8, WindowCenter="100", WindowWidth="1")
write("rgb", colours, bits=8, SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0)
write("planar", np.moveaxis(colours, -1, 0), bits=8, SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=1)
ybr = convert_color_space(colours, "RGB", "YBR_FULL")
write("ybr", ybr, bits=8, SamplesPerPixel=3, PhotometricInterpretation="YBR_FULL", PlanarConfiguration=0)
table = [(RNG.permutation(256).astype(np.uint16) * 257).tobytes() for _ in range(3)]
write("palette", words(0, 255, "u1"), bits=8, PhotometricInterpretation="PALETTE COLOR",
      **{f"{c}PaletteColorLookupTableDescriptor": [256, 0, 16] for c in ("Red", "Green", "Blue")},
      **{f"{c}PaletteColorLookupTableData": t for c, t in zip(("Red", "Green", "Blue"), table)})
for name, of in (("runs", "inverted"), ("runs_rgb", "planar")):
    ds = dcmread(OUT / f"{of}.dcm")
    if name == "runs_rgb":
        ds.PixelData, ds.PlanarConfiguration = colours.tobytes(), 0
    ds.compress(RLELossless, generate_instance_uid=False)
    ds.save_as(OUT / f"{name}.dcm", enforce_file_format=True)


def jpeg(pixels, **more):
    bytes_ = io.BytesIO()
    Image.fromarray(pixels).save(bytes_, "JPEG", quality=95, subsampling=0, **more)
    return bytes_.getvalue()


frames = [jpeg(words(10, 240, "u1")), jpeg(words(240, 10, "u1"))]
write("jpeg_frames", None, JPEGBaseline8Bit, bits=8, NumberOfFrames="2", data=encapsulate(frames, fragments_per_frame=2))
write("jpeg_rgb", None, JPEGBaseline8Bit, bits=8, SamplesPerPixel=3, PhotometricInterpretation="YBR_FULL",
      PlanarConfiguration=0, data=encapsulate([jpeg(colours)]))
# RGB without a colour transform: said by Adobe's mark, and by nothing but the file around it.
as_rgb = jpeg(colours, keep_rgb=True)
mark = as_rgb.index(b"\xff\xee")
assert as_rgb[mark + 4 : mark + 9] == b"Adobe"
for name, frame in (("jpeg_adobe", as_rgb), ("jpeg_unsaid", as_rgb[:mark] + as_rgb[mark + 16 :])):
    # Pillow numbers the components R, G, B, by which they would be told.
    frame = frame.replace(b"\x03R\x11\x00G\x11\x00B\x11\x00", b"\x03\x01\x11\x00\x02\x11\x00\x03\x11\x00")
    frame = frame.replace(b"\x03R\x00G\x00B\x00", b"\x03\x01\x00\x02\x00\x03\x00")
    write(name, None, JPEGBaseline8Bit, bits=8, SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0,
          data=encapsulate([frame]))
import gdcm
reader = gdcm.ImageReader()
reader.SetFileName(str(OUT / "window.dcm"))
assert reader.Read()
change = gdcm.ImageChangeTransferSyntax()
change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
change.SetInput(reader.GetImage())
assert change.Change()
writer = gdcm.ImageWriter()
writer.SetFile(reader.GetFile())
writer.SetImage(change.GetOutput())
writer.SetFileName(str(OUT / "lossless.dcm"))
assert writer.Write()


def shown(ds):
    """8 bits of the first frame, as a viewer shows them."""
    pixels = ds.pixel_array
    if int(ds.get("NumberOfFrames", 1)) > 1:
        pixels = pixels[0]
    if ds.PhotometricInterpretation == "PALETTE COLOR":
        return apply_color_lut(pixels, ds) >> 8
    if ds.SamplesPerPixel == 3:
        return pixels  # RGB, whatever it was
    values = apply_modality_lut(pixels, ds)
    slope, intercept = float(ds.get("RescaleSlope", 1)), float(ds.get("RescaleIntercept", 0))
    low = -(2 ** (ds.BitsStored - 1)) if ds.PixelRepresentation else 0
    low, high = (end * slope + intercept for end in (low, low + 2**ds.BitsStored - 1))
    if "WindowWidth" in ds:
        values = apply_voi_lut(values.astype(np.float64), ds, index=0)
    share = (np.asarray(values, np.float64) - low) / (high - low)
    share = 1 - share if ds.PhotometricInterpretation == "MONOCHROME1" else share
    return np.clip(np.round(share * 255), 0, 255)


expected = {}
for path in sorted(OUT.glob("*.dcm")):
    expected[path.stem] = np.asarray(shown(dcmread(path))).astype(int).reshape(-1).tolist()
if __name__ == "__main__":
    text = json.dumps(expected).replace("], ", "],\n")
    (HERE / "dicom.json").write_text(text + "\n")
    print({name: len(values) for name, values in expected.items()}, file=sys.stderr)
