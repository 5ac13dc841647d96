"""Writes records.xlsx, a table as an office of records keeps it, and studies/*.dcm, the images of its patients.

Run: python make.py     (pydicom 3, numpy, openpyxl)
"""
import pathlib

import numpy as np
import openpyxl
from pydicom import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless, SecondaryCaptureImageStorage

HERE = pathlib.Path(__file__).parent
RNG = np.random.default_rng(7)
book = openpyxl.Workbook()
sheet = book.active
sheet.title = "Aufnahmen"
sheet.append(["Studie", "Dosis", "Abteilung", "Befund"])
for n in range(32):
    ill = n % 2
    age = 30 + n + 12 * ill
    pixels = RNG.integers(200, 900, (16, 16)) + ill * np.pad(np.full((6, 6), 2500), 5)
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if n % 4 == 1 else ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = SecondaryCaptureImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = f"1.2.3.{n + 1}"
    ds.Modality, ds.PatientSex = "DX", "FM"[n % 3 % 2]
    if n != 5:
        ds.PatientAge = f"{age:03}Y"
    ds.Rows = ds.Columns = 16
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.WindowCenter, ds.WindowWidth = "1800", "3600"
    ds.PixelData = pixels.astype("<u2").tobytes()
    ds["PixelData"].VR = "OW"
    if n % 4 == 2:
        ds.compress(RLELossless, generate_instance_uid=False)
    ds.save_as(HERE / "studies" / f"S{n + 1:04}.dcm", enforce_file_format=True)
    dose = f"{0.5 + n % 7 / 4:.2f}".replace(".", ",").rstrip("0").rstrip(",")
    sheet.append([f"S{n + 1:04}", dose, ["Nord", "Süd"][n % 5 % 2], ["unauffällig", "Erguss"][ill]])
book.save(HERE / "records.xlsx")
