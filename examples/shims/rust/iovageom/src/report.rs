// SPDX-License-Identifier: BSD-3-Clause
//! Why something was refused, lost or doubted: as data and as sentences.

use std::ffi::{CStr, CString};
use std::fmt;
use std::mem::MaybeUninit;
use std::ops::RangeInclusive;

use iovageom_sys as sys;

use crate::range::range_of;
use crate::{FindingKind, ResvType, Source, Status};

/// Who says something: a source, and the device, group or option that it speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Owner {
    pub source: Source,
    pub name: String,
}

impl Owner {
    pub(crate) fn from_raw(raw: &sys::iovageom_owner) -> Owner {
        let bytes: Vec<u8> =
            raw.name.iter().map(|c| *c as u8).take_while(|byte| *byte != 0).collect();
        Owner {
            source: Source::from_raw(raw.source),
            name: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }
}

/// One obstacle, or one note. Fields that its kind does not name say nothing: numbers are 0, ranges
/// `0..=0`, owners unnamed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Finding {
    pub kind: FindingKind,
    /// A reason to refuse; else a note.
    pub fatal: bool,
    pub status: Option<Status>,
    pub resv_type: Option<ResvType>,
    pub range: RangeInclusive<u64>,
    pub against: RangeInclusive<u64>,
    pub wanted: u64,
    pub offered: u64,
    pub endpoint: Option<u32>,
    pub domain: Option<u32>,
    pub owner: Owner,
    pub other: Owner,
    /// What the finding is about, where its kind says so.
    pub detail: Option<String>,
    /// The finding in one sentence.
    pub text: String,
}

impl Finding {
    fn from_raw(raw: &sys::iovageom_finding) -> Finding {
        let mut text = [0_u8; 512];
        let length =
            // SAFETY: `raw` is a finding of a live report, and the call writes at most 512 bytes, the
            // terminating NUL included.
            unsafe { sys::iovageom_finding_text(raw, text.as_mut_ptr().cast(), text.len()) };
        let detail = (!raw.detail.is_null()).then(|| {
            // SAFETY: it is not NULL, and then text that ends with NUL and lives as long as `raw`.
            unsafe { CStr::from_ptr(raw.detail) }.to_string_lossy().into_owned()
        });
        Finding {
            kind: FindingKind::from_raw(raw.kind),
            fatal: raw.fatal != 0,
            status: (raw.status != 0).then(|| Status::from_raw(raw.status)),
            resv_type: (raw.type_ != 0).then(|| ResvType::from_raw(raw.type_)),
            range: range_of(raw.range),
            against: range_of(raw.against),
            wanted: raw.wanted,
            offered: raw.offered,
            endpoint: u32::try_from(raw.endpoint).ok(),
            domain: u32::try_from(raw.domain).ok(),
            owner: Owner::from_raw(&raw.owner),
            other: Owner::from_raw(&raw.other),
            detail,
            text: String::from_utf8_lossy(&text[..length.min(text.len() - 1)]).into_owned(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// A list of findings, the most important first. An empty one holds no memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Report {
    text: String,
    findings: Vec<Finding>,
    dropped: usize,
}

impl Report {
    /// The report in one sentence, for a log: the first reason to refuse, else the first note, and how
    /// many more there are. "" when there is nothing.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// How many findings there was no memory for.
    pub fn dropped(&self) -> usize {
        self.dropped
    }

    pub fn is_empty(&self) -> bool {
        self.findings.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// Something was refused: a status, and why. Its text is a sentence for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Error {
    status: Status,
    report: Report,
}

/// What a call answers that can be refused.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A refusal for a reason of the VMM's own.
    pub fn new(status: Status, text: impl Into<String>) -> Error {
        Error { status, report: Report { text: text.into(), ..Report::default() } }
    }

    pub(crate) fn with_report(status: Status, report: Report) -> Error {
        Error { status, report }
    }

    /// Said without an own sentence: that of the status stands for it.
    pub(crate) fn plain(status: i32) -> Error {
        Error { status: Status::from_raw(status), report: Report::default() }
    }

    pub fn status(&self) -> Status {
        self.status
    }

    /// The status for the tail of a virtio-iommu request.
    pub fn virtio(&self) -> u8 {
        self.status.virtio()
    }

    /// Every obstacle, as data.
    pub fn report(&self) -> &Report {
        &self.report
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.report.text() {
            "" => self.status.fmt(formatter),
            text => formatter.write_str(text),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for std::io::Error {
    /// The sentence stays; the errno is that of the status only by kind, since `io::Error` has
    /// either a number or a text.
    fn from(error: Error) -> std::io::Error {
        let kind = std::io::Error::from_raw_os_error(error.status.errno()).kind();
        std::io::Error::new(kind, error)
    }
}

/// 0, or an error without a report.
pub(crate) fn plain(rc: i32) -> Result<()> {
    if rc < 0 {
        return Err(Error::plain(rc));
    }
    Ok(())
}

/// `None` where the host did not say, which is no error, and not the same as nothing.
pub(crate) fn known<T>(rc: i32, value: T) -> Result<Option<T>> {
    if rc == sys::IOVAGEOM_ERR_UNKNOWN {
        return Ok(None);
    }
    plain(rc).map(|()| Some(value))
}

/// A name as C takes it.
pub(crate) fn c_name(name: &str) -> Result<CString> {
    CString::new(name)
        .map_err(|_| Error::new(Status::Invalid, format!("the name {name:?} holds a NUL byte")))
}

/// A report of the C library, to be filled by a call.
pub(crate) struct Raw(MaybeUninit<sys::iovageom_report>);

impl Raw {
    pub(crate) fn new() -> Raw {
        let mut raw = MaybeUninit::uninit();
        // SAFETY: there is room for the report, which the call fills; it may be moved afterwards.
        unsafe { sys::iovageom_report_init(raw.as_mut_ptr(), std::ptr::null()) };
        Raw(raw)
    }

    pub(crate) fn as_mut(&mut self) -> *mut sys::iovageom_report {
        self.0.as_mut_ptr()
    }

    /// What a call has said.
    pub(crate) fn read(&self) -> Report {
        let raw = self.0.as_ptr();
        let (count, dropped) =
            // SAFETY: the report was made in `new`, and lives as long as `self`.
            unsafe { (sys::iovageom_report_count(raw), sys::iovageom_report_dropped(raw)) };
        if count == 0 {
            return Report { dropped, ..Report::default() };
        }
        // SAFETY: as above; the text ends with NUL, is never NULL, and is copied before it can change.
        let text = unsafe { CStr::from_ptr(sys::iovageom_report_text(raw)) };
        let findings = (0..count)
            // SAFETY: as above; below the count it is a finding, else NULL, and it is copied at once.
            .filter_map(|index| unsafe { sys::iovageom_report_at(raw, index).as_ref() })
            .map(Finding::from_raw)
            .collect();
        Report { text: text.to_string_lossy().into_owned(), findings, dropped }
    }

    /// The answer of a call that had this report: its notes, or why it refused.
    pub(crate) fn answer(&self, rc: i32) -> Result<Report> {
        if rc < 0 {
            return Err(Error { status: Status::from_raw(rc), report: self.read() });
        }
        Ok(self.read())
    }

    /// The same for a caller who needs no notes, and has none made.
    pub(crate) fn outcome(&self, rc: i32) -> Result<()> {
        if rc < 0 {
            return self.answer(rc).map(drop);
        }
        Ok(())
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // SAFETY: it was made in `new`, and is released here only.
        unsafe { sys::iovageom_report_deinit(self.0.as_mut_ptr()) }
    }
}
