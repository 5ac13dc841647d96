//! Attributes by which a row can be told more of its image: `dicom.PatientAge`.

use super::elements::{Element, Tag, each};

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Attribute {
    Number(f64),
    Text(String),
}

/// Keywords, tags and kinds of what describes a patient, a device or an acquisition (PS3.6).
const KEYWORDS: [(&str, Tag, [u8; 2]); 62] = [
    ("AccessionNumber", (0x0008, 0x0050), *b"SH"),
    ("AcquisitionDate", (0x0008, 0x0022), *b"DA"),
    ("AcquisitionNumber", (0x0020, 0x0012), *b"IS"),
    ("BitsStored", (0x0028, 0x0101), *b"US"),
    ("BodyPartExamined", (0x0018, 0x0015), *b"CS"),
    ("BodyPartThickness", (0x0018, 0x11a0), *b"DS"),
    ("Columns", (0x0028, 0x0011), *b"US"),
    ("CompressionForce", (0x0018, 0x11a2), *b"DS"),
    ("ContentDate", (0x0008, 0x0023), *b"DA"),
    ("ConversionType", (0x0008, 0x0064), *b"CS"),
    ("ConvolutionKernel", (0x0018, 0x1210), *b"SH"),
    ("DetectorType", (0x0018, 0x7004), *b"CS"),
    ("DeviceSerialNumber", (0x0018, 0x1000), *b"LO"),
    ("DistanceSourceToDetector", (0x0018, 0x1110), *b"DS"),
    ("DistanceSourceToPatient", (0x0018, 0x1111), *b"DS"),
    ("EchoTime", (0x0018, 0x0081), *b"DS"),
    ("Exposure", (0x0018, 0x1152), *b"IS"),
    ("ExposureInuAs", (0x0018, 0x1153), *b"IS"),
    ("ExposureTime", (0x0018, 0x1150), *b"IS"),
    ("FlipAngle", (0x0018, 0x1314), *b"DS"),
    ("GridID", (0x0018, 0x1180), *b"SH"),
    ("ImageLaterality", (0x0020, 0x0062), *b"CS"),
    ("ImagerPixelSpacing", (0x0018, 0x1164), *b"DS"),
    ("InstanceNumber", (0x0020, 0x0013), *b"IS"),
    ("InstitutionName", (0x0008, 0x0080), *b"LO"),
    ("KVP", (0x0018, 0x0060), *b"DS"),
    ("Laterality", (0x0020, 0x0060), *b"CS"),
    ("MagneticFieldStrength", (0x0018, 0x0087), *b"DS"),
    ("Manufacturer", (0x0008, 0x0070), *b"LO"),
    ("ManufacturerModelName", (0x0008, 0x1090), *b"LO"),
    ("Modality", (0x0008, 0x0060), *b"CS"),
    ("NumberOfFrames", (0x0028, 0x0008), *b"IS"),
    ("PatientAge", (0x0010, 0x1010), *b"AS"),
    ("PatientBirthDate", (0x0010, 0x0030), *b"DA"),
    ("PatientID", (0x0010, 0x0020), *b"LO"),
    ("PatientOrientation", (0x0020, 0x0020), *b"CS"),
    ("PatientPosition", (0x0018, 0x5100), *b"CS"),
    ("PatientSex", (0x0010, 0x0040), *b"CS"),
    ("PatientSize", (0x0010, 0x1020), *b"DS"),
    ("PatientWeight", (0x0010, 0x1030), *b"DS"),
    ("PhotometricInterpretation", (0x0028, 0x0004), *b"CS"),
    ("PixelSpacing", (0x0028, 0x0030), *b"DS"),
    ("PresentationLUTShape", (0x2050, 0x0020), *b"CS"),
    ("ProtocolName", (0x0018, 0x1030), *b"LO"),
    ("RepetitionTime", (0x0018, 0x0080), *b"DS"),
    ("RescaleIntercept", (0x0028, 0x1052), *b"DS"),
    ("RescaleSlope", (0x0028, 0x1053), *b"DS"),
    ("Rows", (0x0028, 0x0010), *b"US"),
    ("Sensitivity", (0x0018, 0x6000), *b"DS"),
    ("SeriesDescription", (0x0008, 0x103e), *b"LO"),
    ("SeriesInstanceUID", (0x0020, 0x000e), *b"UI"),
    ("SeriesNumber", (0x0020, 0x0011), *b"IS"),
    ("SliceLocation", (0x0020, 0x1041), *b"DS"),
    ("SliceThickness", (0x0018, 0x0050), *b"DS"),
    ("StationName", (0x0008, 0x1010), *b"SH"),
    ("StudyDate", (0x0008, 0x0020), *b"DA"),
    ("StudyDescription", (0x0008, 0x1030), *b"LO"),
    ("StudyInstanceUID", (0x0020, 0x000d), *b"UI"),
    ("ViewPosition", (0x0018, 0x5101), *b"CS"),
    ("WindowCenter", (0x0028, 0x1050), *b"DS"),
    ("WindowWidth", (0x0028, 0x1051), *b"DS"),
    ("XRayTubeCurrent", (0x0018, 0x1151), *b"IS"),
];

/// Tag and kind of a keyword, or of eight hexadecimal digits (`00101010`), whose kind the file has to say.
fn known(name: &str) -> Option<(Tag, Option<[u8; 2]>)> {
    if let Some((_, tag, kind)) = KEYWORDS.iter().find(|(keyword, ..)| *keyword == name) {
        return Some((*tag, Some(*kind)));
    }
    let is_hex = name.len() == 8 && name.bytes().all(|digit| digit.is_ascii_hexdigit());
    let (group, element) = name.split_at_checked(4).filter(|_| is_hex)?;
    let number = |digits| u16::from_str_radix(digits, 16).ok();
    Some(((number(group)?, number(element)?), None))
}

/// Whether an attribute of this name can be asked for.
pub(crate) fn is_known(name: &str) -> bool {
    known(name).is_some()
}

/// What a file says of each attribute, of several values the first; and whether it was read as far as they may be.
pub(crate) fn attributes(bytes: &[u8], names: &[&str]) -> (Vec<Option<Attribute>>, bool) {
    let tags: Vec<_> = names.iter().map(|name| known(name)).collect();
    let last = tags.iter().flatten().map(|(tag, _)| *tag).max();
    let mut values = vec![None; names.len()];
    // What stands before damage is read.
    let read = each(bytes, |element| {
        for (value, tag) in values.iter_mut().zip(&tags) {
            if let Some((tag, kind)) = tag
                && *tag == element.tag
            {
                *value = attribute(element, element.kind.or(*kind));
            }
        }
        Some(element.tag) < last
    });
    (values, read.is_ok())
}

fn attribute(element: &Element<'_>, kind: Option<[u8; 2]>) -> Option<Attribute> {
    let bytes = element.bytes()?;
    let number = |value: f64| value.is_finite().then_some(Attribute::Number(value));
    let text = || element.text()?.split('\\').next().map(str::to_owned);
    match kind.as_ref() {
        Some(b"DS" | b"IS") => number(element.decimal()?),
        Some(b"US") => number(element.u16()?.into()),
        Some(b"SS") => number(i16::from_le_bytes(*bytes.first_chunk()?).into()),
        Some(b"UL") => number(u32::from_le_bytes(*bytes.first_chunk()?).into()),
        Some(b"SL") => number(i32::from_le_bytes(*bytes.first_chunk()?).into()),
        Some(b"FL") => number(f32::from_le_bytes(*bytes.first_chunk()?).into()),
        Some(b"FD") => number(f64::from_le_bytes(*bytes.first_chunk()?)),
        Some(b"AS") => number(years(&text()?)?),
        Some(b"DA") => {
            let text = text()?;
            let parts = (text.get(..4), text.get(4..6), text.get(6..8));
            Some(Attribute::Text(match parts {
                (Some(year), Some(month), Some(day)) if text.len() == 8 => {
                    format!("{year}-{month}-{day}")
                }
                _ => text,
            }))
            .filter(|date| *date != Attribute::Text(String::new()))
        }
        Some(b"OB" | b"OD" | b"OF" | b"OL" | b"OV" | b"OW" | b"UN") => None,
        _ => text().filter(|text| !text.is_empty()).map(Attribute::Text),
    }
}

/// An age in years: three digits and its unit, `045Y`, `018M`, `006W`, `010D`.
fn years(age: &str) -> Option<f64> {
    let (digits, unit) = age.split_at_checked(age.len().checked_sub(1)?)?;
    let number: f64 = digits.parse::<u16>().ok()?.into();
    Some(match unit {
        "Y" => number,
        "M" => number / 12.0,
        "W" => number * 7.0 / 365.25,
        "D" => number / 365.25,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_in_order_and_tags_are_once() {
        assert!(KEYWORDS.is_sorted_by_key(|(keyword, ..)| keyword.to_lowercase()));
        let mut tags: Vec<_> = KEYWORDS.iter().map(|(_, tag, _)| tag).collect();
        tags.sort();
        assert!(tags.windows(2).all(|pair| pair[0] != pair[1]));
        assert_eq!(known("00101010"), Some(((0x10, 0x1010), None)));
        assert!(!is_known("PatientAges") && !is_known("0010101") && !is_known("00101010x"));
    }

    #[test]
    fn an_age_is_in_years() {
        assert_eq!(years("045Y"), Some(45.0));
        assert_eq!(years("018M"), Some(1.5));
        assert_eq!(years("007D"), years("001W"));
        assert_eq!(
            (years(""), years("45"), years("Y"), years("-1Y")),
            (None, None, None, None)
        );
    }
}
