// SPDX-License-Identifier: BSD-3-Clause
//! The call site of cloud-hypervisor's virtio-iommu: its constants, and requests as the bytes of a
//! descriptor chain. The external mapping below is a VFIO container on a 39-bit host, whose
//! VFIO_IOMMU_GET_INFO answer was captured from a real kernel.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use iovageom::{virtio_status as status, Geometry, Result, Source};
use iovageom_cloud_hypervisor::{Books, Hosts, FEATURES};

const MSI_IOVA_SPACE: (u64, u64) = (0xfee0_0000, 0xfeef_ffff);
const TAIL_SIZE: usize = 4;

fn fixture(name: &str) -> Vec<u8> {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../../tests/fixtures").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {}", path.display(), error))
}

/// What a kernel says of the host of 39 bits that it was captured on.
fn captured(name: &str) -> Geometry {
    let mut host = Geometry::new(name).unwrap();
    host.add_vfio_info(&fixture("intel-39bit/vfio_iommu_get_info.bin")).unwrap();
    host
}

fn of_width(name: &str, bits: u32) -> Geometry {
    let mut host = Geometry::new(name).unwrap();
    host.add_gaw(bits, Source::Vfio).unwrap();
    host
}

/// A VFIO container as the kernel has it.
#[derive(Debug, Default)]
struct Container {
    mapped: Mutex<BTreeMap<u64, (u64, u64)>>,
    calls: Mutex<usize>,
    refuse: Mutex<Option<u64>>,
}

impl Container {
    fn count(&self) -> usize {
        self.mapped.lock().unwrap().len()
    }

    fn refuse(&self, iova: Option<u64>) {
        *self.refuse.lock().unwrap() = iova;
    }

    fn map(&self, iova: u64, gpa: u64, size: u64) -> io::Result<()> {
        let last = iova + (size - 1);
        let inside = last <= 0xfedf_ffff || (iova >= 0xfef0_0000 && last <= 0x7f_ffff_ffff);
        assert!(inside, "the host was asked for [{:#x},{:#x}], which it refuses", iova, last);
        if *self.refuse.lock().unwrap() == Some(iova) {
            return Err(io::Error::from_raw_os_error(22));
        }
        assert!(self.mapped.lock().unwrap().insert(iova, (gpa, size)).is_none());
        Ok(())
    }

    /// As type1 does it: all mappings of the range, of which none may be cut.
    fn unmap(&self, iova: u64, size: u64) -> io::Result<()> {
        *self.calls.lock().unwrap() += 1;
        if *self.refuse.lock().unwrap() == Some(iova) {
            return Err(io::Error::from_raw_os_error(22));
        }
        let mut mapped = self.mapped.lock().unwrap();
        let mut at = iova;
        while at < iova + size {
            at += mapped.remove(&at).expect("a mapping starts where the last one ended").1;
        }
        assert_eq!(at, iova + size);
        Ok(())
    }
}

/// The external mappings of the device, and what stands in for their trait.
#[derive(Default)]
struct External(BTreeMap<u32, Arc<Container>>);

impl Hosts for External {
    fn map(&self, endpoint: u32, iova: u64, gpa: u64, size: u64) -> io::Result<()> {
        self.0.get(&endpoint).map_or(Ok(()), |host| host.map(iova, gpa, size))
    }

    fn unmap(&self, endpoint: u32, iova: u64, size: u64) -> io::Result<()> {
        self.0.get(&endpoint).map_or(Ok(()), |host| host.unmap(iova, size))
    }
}

struct Vmm {
    iommu: Books,
    external: External,
    /// What the last request was refused for.
    why: String,
}

impl Vmm {
    fn new() -> Vmm {
        Vmm {
            iommu: Books::new(MSI_IOVA_SPACE, 64, None).unwrap(),
            external: External::default(),
            why: String::new(),
        }
    }

    /// DeviceManager::add_vfio_device: the external mapping first, then the device in its container.
    fn try_add(&mut self, device_id: u32, host: &Geometry) -> Result<Arc<Container>> {
        self.iommu.declare(device_id)?;
        if let Err(refused) = self.iommu.admit(device_id, host) {
            self.iommu.remove(device_id);
            return Err(refused);
        }
        let container = Arc::new(Container::default());
        self.external.0.insert(device_id, container.clone());
        Ok(container)
    }

    fn add(&mut self, device_id: u32, name: &str) -> Arc<Container> {
        self.try_add(device_id, &captured(name)).unwrap()
    }

    fn parse(&mut self, readable: &[u8], writable: &mut [u8]) -> usize {
        let answer = self.iommu.parse(readable, writable, &self.external);
        self.why = answer.refused.map_or(String::new(), |refused| refused.to_string());
        answer.used_length
    }

    fn request(&mut self, request: &[u8]) -> u8 {
        let mut reply = [0xaa; TAIL_SIZE];
        assert_eq!(self.parse(request, &mut reply), TAIL_SIZE);
        assert_eq!(reply[1..], [0; 3]);
        reply[0]
    }

    fn probe(&mut self, device_id: u32) -> (u8, Vec<u8>) {
        let config = self.iommu.config().unwrap();
        let size = u32::from_le_bytes([config[32], config[33], config[34], config[35]]) as usize;
        let mut request = vec![5, 0, 0, 0];
        request.extend_from_slice(&device_id.to_le_bytes());
        request.extend_from_slice(&[0; 64]);
        let mut reply = vec![0xaa; size + TAIL_SIZE];
        assert_eq!(self.parse(&request, &mut reply), size + TAIL_SIZE);
        let answer = reply[size];
        reply.truncate(size);
        (answer, reply)
    }
}

fn words(type_: u8, first: &[u32], addresses: &[u64], flags: u32) -> Vec<u8> {
    let mut bytes = vec![type_, 0, 0, 0];
    first.iter().for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
    addresses.iter().for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
    bytes.extend_from_slice(&flags.to_le_bytes());
    bytes
}

fn attach(domain: u32, endpoint: u32) -> Vec<u8> {
    let mut bytes = words(1, &[domain, endpoint], &[], 0);
    bytes.extend_from_slice(&[0; 4]);
    bytes
}

fn detach(domain: u32, endpoint: u32) -> Vec<u8> {
    words(2, &[domain, endpoint], &[0], 0)[..20].to_vec()
}

fn map(domain: u32, start: u64, end: u64, phys: u64, flags: u32) -> Vec<u8> {
    words(3, &[domain], &[start, end, phys], flags)
}

fn unmap(domain: u32, start: u64, end: u64) -> Vec<u8> {
    words(4, &[domain], &[start, end], 0)
}

#[test]
fn e2_the_guest_is_told_of_39_bits_without_the_user_typing_them() {
    let mut vmm = Vmm::new();
    vmm.add(8, "_vfio1");
    let config = vmm.iommu.config().unwrap();
    assert_eq!(config[8..16], 0_u64.to_le_bytes());
    assert_eq!(config[16..24], 0x7f_ffff_ffff_u64.to_le_bytes());
    let (answer, properties) = vmm.probe(8);
    assert_eq!(answer, status::OK);
    assert_eq!(properties[..5], [1, 0, 20, 0, 1]);
    assert_eq!(properties[8..16], MSI_IOVA_SPACE.0.to_le_bytes());
    assert_eq!(properties[24..29], [1, 0, 20, 0, 0]);
    assert_eq!(properties[32..40], 0x80_0000_0000_u64.to_le_bytes());
    assert_eq!(properties[40..48], u64::MAX.to_le_bytes());
    assert!(properties[48..].iter().all(|byte| *byte == 0));
}

#[test]
fn e2_the_address_that_ended_the_vm_is_refused_before_the_host_sees_it() {
    let mut vmm = Vmm::new();
    let container = vmm.add(8, "_vfio1");
    assert_eq!(vmm.request(&attach(1, 8)), status::OK);
    let request = map(1, 0x7fff_0000_0000, 0x7fff_0000_0fff, 0x1000, 3);
    assert_eq!(vmm.request(&request), status::RANGE);
    assert!(vmm.why.contains("0x7fff00000000"), "{}", vmm.why);
    assert_eq!(container.count(), 0);
}

#[test]
fn n26_n63_an_unknown_endpoint_is_noent() {
    let mut vmm = Vmm::new();
    vmm.add(8, "_vfio1");
    assert_eq!(vmm.request(&attach(1, 0x99)), status::NOENT);
    assert_eq!(vmm.probe(0x99).0, status::NOENT);
}

#[test]
fn n76_a_map_over_the_msi_window_is_refused() {
    let mut vmm = Vmm::new();
    let container = vmm.add(8, "_vfio1");
    vmm.request(&attach(1, 8));
    assert_eq!(vmm.request(&map(1, 0xfee0_0000, 0xfee0_0fff, 0x1000, 3)), status::INVAL);
    assert_eq!(container.count(), 0);
}

#[test]
fn n43_mmio_is_an_unknown_flag_as_long_as_it_is_not_offered() {
    let mut vmm = Vmm::new();
    vmm.add(8, "_vfio1");
    vmm.request(&attach(1, 8));
    assert_eq!(FEATURES & (1 << 5), 0);
    assert_eq!(vmm.request(&map(1, 0x1000, 0x1fff, 0x1000, 4 | 3)), status::INVAL);
}

#[test]
fn n68_a_short_probe_buffer_is_inval_and_the_tail_stands_at_its_end() {
    let mut vmm = Vmm::new();
    vmm.add(8, "_vfio1");
    vmm.probe(8);
    let mut request = vec![5, 0, 0, 0, 8, 0, 0, 0];
    request.extend_from_slice(&[0; 64]);
    let mut reply = [0xaa; 28];
    assert_eq!(vmm.parse(&request, &mut reply), 28);
    assert_eq!(reply[24], status::INVAL);
    // No property, but zeros: the used length covers them.
    assert!(reply[..24].iter().all(|byte| *byte == 0));
}

#[test]
fn a_host_that_refuses_one_endpoint_is_undone_on_the_others() {
    let mut vmm = Vmm::new();
    let (first, second) = (vmm.add(8, "_vfio1"), vmm.add(16, "_vfio2"));
    vmm.request(&attach(1, 8));
    vmm.request(&attach(1, 16));
    second.refuse(Some(0x1000));
    assert_eq!(vmm.request(&map(1, 0x1000, 0x1fff, 0x5000, 3)), status::DEVERR);
    assert_eq!((first.count(), second.count()), (0, 0));
    second.refuse(None);
    assert_eq!(vmm.request(&map(1, 0x1000, 0x1fff, 0x5000, 3)), status::OK);
    assert_eq!((first.count(), second.count()), (1, 1));
    assert_eq!(vmm.iommu.translate_gva(8, 0x1234, 8), Ok(0x5234));
    assert_eq!(vmm.request(&unmap(1, 0, u64::MAX)), status::OK);
    assert_eq!((first.count(), second.count()), (0, 0));
    assert!(vmm.iommu.translate_gva(8, 0x1234, 8).is_err());
}

#[test]
fn n29_a_moved_endpoint_takes_the_mappings_of_its_new_domain() {
    let mut vmm = Vmm::new();
    let (first, second) = (vmm.add(8, "_vfio1"), vmm.add(16, "_vfio2"));
    vmm.request(&attach(1, 8));
    vmm.request(&attach(2, 16));
    vmm.request(&map(1, 0x1000, 0x1fff, 0x5000, 3));
    vmm.request(&map(1, 0x4000, 0x4fff, 0x9000, 3));
    vmm.request(&map(2, 0x2000, 0x2fff, 0x6000, 3));
    // A host that can't take it keeps the endpoint where it is.
    second.refuse(Some(0x4000));
    assert_eq!(vmm.request(&attach(1, 16)), status::DEVERR);
    assert_eq!(second.mapped.lock().unwrap().keys().copied().collect::<Vec<_>>(), [0x2000]);
    second.refuse(None);
    assert_eq!(vmm.request(&attach(1, 16)), status::OK);
    assert_eq!(second.mapped.lock().unwrap().keys().copied().collect::<Vec<_>>(), [0x1000, 0x4000]);
    assert_eq!(vmm.request(&detach(1, 16)), status::OK);
    assert_eq!((first.count(), second.count()), (2, 0));
    assert_eq!((vmm.iommu.domain_of(8), vmm.iommu.domain_of(16)), (Some(1), None));
}

#[test]
fn a_reset_takes_what_is_mapped_off_the_hosts() {
    let mut vmm = Vmm::new();
    let (first, second) = (vmm.add(8, "_vfio1"), vmm.add(16, "_vfio2"));
    vmm.iommu.add_emulated(1).unwrap();
    for endpoint in [1, 8, 16] {
        vmm.request(&attach(1, endpoint));
    }
    for page in [1_u64, 2, 4] {
        let request = map(1, page << 12, (page << 12) + 0xfff, 0x5000, 3);
        assert_eq!(vmm.request(&request), status::OK);
    }
    assert_eq!((first.count(), second.count()), (3, 3));
    // A host that refuses is told of, and does not keep the others from it.
    first.refuse(Some(0x1000));
    let refused = vmm.iommu.reset(&vmm.external).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(22));
    assert_eq!((first.count(), second.count()), (2, 0));
    first.refuse(None);
    first.mapped.lock().unwrap().clear();
    assert_eq!((vmm.iommu.domain_of(8), vmm.iommu.domain_of(16)), (None, None));

    // The next guest takes the same addresses.
    vmm.request(&attach(7, 8));
    vmm.request(&attach(7, 16));
    assert_eq!(vmm.request(&map(7, 0x1000, 0x1fff, 0x9000, 3)), status::OK);
    assert_eq!((first.count(), second.count()), (1, 1));
    vmm.iommu.reset(&vmm.external).unwrap();
    assert_eq!((first.count(), second.count()), (0, 0));
    vmm.iommu.reset(&vmm.external).unwrap();
}

#[test]
fn a_device_of_the_vmm_may_come_to_a_place_that_was_declared() {
    let mut vmm = Vmm::new();
    vmm.iommu.add_emulated(1).unwrap();
    vmm.iommu.declare(8).unwrap();
    assert_eq!(vmm.request(&attach(1, 8)), status::NOENT);
    assert_eq!(vmm.probe(8).0, status::OK);
    vmm.iommu.add_emulated(8).unwrap();
    assert_eq!(vmm.request(&attach(1, 8)), status::OK);
    assert_eq!(vmm.request(&map(1, 0x1000, 0x1fff, 0x5000, 3)), status::OK);
    assert_eq!(vmm.iommu.translate_gva(8, 0x1010, 8), Ok(0x5010));
    // It is ejected, and something else comes.
    vmm.iommu.remove(8);
    let container = vmm.add(8, "_vfio1");
    assert_eq!(vmm.request(&attach(1, 8)), status::OK);
    assert_eq!(container.count(), 0);
    // Of a saved place it is settled likewise.
    vmm.iommu.remove(8);
    vmm.iommu.add_emulated(8).unwrap();
    assert_eq!(vmm.request(&attach(1, 8)), status::OK);
    assert_eq!(vmm.request(&map(1, 0x1000, 0x1fff, 0x5000, 3)), status::OK);
    let snapshot = vmm.iommu.save().unwrap().unwrap();
    let same = Books::new(MSI_IOVA_SPACE, 64, Some(&snapshot)).unwrap();
    same.add_emulated(8).unwrap();
    assert_eq!(same.translate_gva(8, 0x1010, 8), Ok(0x5010));
}

#[test]
fn a_vdpa_device_is_admitted_with_the_range_that_it_names() {
    let mut vmm = Vmm::new();
    vmm.iommu.declare(8).unwrap();
    assert_eq!(vmm.request(&attach(1, 8)), status::NOENT);
    let mut host = Geometry::new("vdpa0").unwrap();
    host.add_usable(&[0..=0xff_ffff_ffff], Source::Device).unwrap();
    vmm.iommu.admit(8, &host).unwrap();
    assert_eq!(vmm.request(&attach(1, 8)), status::OK);
    let beyond = map(1, 0x100_0000_0000, 0x100_0000_0fff, 0x1000, 3);
    assert_eq!(vmm.request(&beyond), status::INVAL);
    assert!(vmm.why.contains("vdpa0"), "{}", vmm.why);
    let below = map(1, 0xff_ffff_f000, 0xff_ffff_ffff, 0x1000, 3);
    assert_eq!(vmm.request(&below), status::OK);
}

#[test]
fn e5_a_hot_plugged_device_is_admitted_against_what_was_promised() {
    let mut vmm = Vmm::new();
    vmm.iommu.add_emulated(1).unwrap();
    vmm.iommu.declare(8).unwrap();
    vmm.iommu.declare(16).unwrap();
    assert_eq!(vmm.probe(8).0, status::OK);
    let refused = vmm.iommu.admit(8, &captured("_vfio1")).unwrap_err();
    assert!(refused.to_string().contains("_vfio1"), "{}", refused);

    // With the floor declared before the guest boots, the same device is welcome.
    let mut vmm = Vmm::new();
    vmm.iommu.add_emulated(1).unwrap();
    vmm.iommu.set_floor(&captured("pool")).unwrap();
    vmm.iommu.declare(8).unwrap();
    assert_eq!(vmm.probe(8).0, status::OK);
    vmm.iommu.admit(8, &captured("_vfio1")).unwrap();
    vmm.iommu.remove(8);
    assert_eq!(vmm.probe(8).0, status::NOENT);
}

#[test]
fn a_snapshot_is_loaded_before_the_devices_come() {
    let mut vmm = Vmm::new();
    assert_eq!(vmm.iommu.save().unwrap(), None);
    vmm.iommu.declare(8).unwrap();
    vmm.iommu.admit(8, &of_width("wide", 48)).unwrap();
    assert_eq!(vmm.probe(8).0, status::OK);
    vmm.request(&attach(1, 8));
    let high = map(1, 0x80_0000_0000, 0x80_0000_0fff, 0x1000, 3);
    assert_eq!(vmm.request(&high), status::OK);
    let snapshot = vmm.iommu.save().unwrap().unwrap();

    let same = Books::new(MSI_IOVA_SPACE, 64, Some(&snapshot)).unwrap();
    same.declare(8).unwrap();
    // Before its device is there, what is mapped is known already,
    assert_eq!(same.translate_gva(8, 0x80_0000_0010, 8), Ok(0x1010));
    // and the device that comes is judged against it.
    let refused = same.admit(8, &captured("narrow")).unwrap_err();
    assert!(refused.to_string().contains("narrow"), "{}", refused);
    same.admit(8, &of_width("wide", 48)).unwrap();
    assert_eq!(same.translate_gva(8, 0x80_0000_0010, 8), Ok(0x1010));
    assert_eq!(same.domain_of(8), Some(1));

    assert!(Books::new(MSI_IOVA_SPACE, 64, Some(&snapshot[..snapshot.len() / 2])).is_err());
    assert!(Books::new(MSI_IOVA_SPACE, 39, Some(&snapshot)).is_err());
}

#[test]
fn an_emulated_device_outlives_the_guest_that_a_snapshot_was_of() {
    let mut vmm = Vmm::new();
    vmm.iommu.add_emulated(5).unwrap();
    assert_eq!(vmm.request(&attach(1, 5)), status::OK);
    let snapshot = vmm.iommu.save().unwrap().unwrap();

    vmm.iommu = Books::new(MSI_IOVA_SPACE, 64, Some(&snapshot)).unwrap();
    vmm.iommu.add_emulated(5).unwrap();
    assert_eq!(vmm.iommu.domain_of(5), Some(1));
    // The guest reboots.
    vmm.iommu.reset(&vmm.external).unwrap();
    assert_eq!(vmm.probe(5).0, status::OK);
    assert_eq!(vmm.request(&attach(1, 5)), status::OK);
    vmm.iommu.remove(5);
    assert_eq!(vmm.request(&attach(1, 5)), status::NOENT);
}

#[test]
fn a_width_of_0_bits_is_not_an_unknown_one() {
    assert!(Books::new(MSI_IOVA_SPACE, 0, None).is_err());
    assert!(Books::new(MSI_IOVA_SPACE, 65, None).is_err());
    let config = Books::new(MSI_IOVA_SPACE, 48, None).unwrap().config().unwrap();
    assert_eq!(config[16..24], 0xffff_ffff_ffff_u64.to_le_bytes());
    let silent = Geometry::new("says nothing").unwrap();
    Vmm::new().try_add(8, &silent).unwrap();
}

#[test]
fn an_unmap_is_one_call_for_each_run() {
    let mut vmm = Vmm::new();
    let container = vmm.add(8, "_vfio1");
    vmm.request(&attach(1, 8));
    for page in [1_u64, 2, 3, 6, 7] {
        let request = map(1, page << 12, (page << 12) + 0xfff, 0x10_0000 - (page << 12), 3);
        assert_eq!(vmm.request(&request), status::OK);
    }
    container.refuse(Some(0x6000));
    assert_eq!(vmm.request(&unmap(1, 0, u64::MAX)), status::DEVERR);
    assert_eq!((container.count(), *container.calls.lock().unwrap()), (5, 2));
    assert_eq!(vmm.iommu.translate_gva(8, 0x1000, 8), Ok(0xf_f000));
    container.refuse(None);
    assert_eq!(vmm.request(&unmap(1, 0, u64::MAX)), status::OK);
    assert_eq!((container.count(), *container.calls.lock().unwrap()), (0, 4));
    assert_eq!(vmm.request(&unmap(1, 0, u64::MAX)), status::OK);
    assert_eq!(*container.calls.lock().unwrap(), 4);
}

#[test]
fn a_domain_has_2_to_the_20_mappings_and_no_more() {
    const MOST: u64 = 1 << 20;
    let mut vmm = Vmm::new();
    vmm.iommu.add_emulated(1).unwrap();
    vmm.iommu.add_emulated(2).unwrap();
    vmm.request(&attach(1, 1));
    vmm.request(&attach(2, 2));
    // Every second page, so that nothing can be joined, and above the MSI window.
    let number = |page: u64| {
        let start = (1 << 32) + (page << 13);
        map(1, start, start + 0xfff, 0x1000, 3)
    };
    let mut request = number(0);
    let mut reply = [0; TAIL_SIZE];
    for page in 0..MOST {
        let start = (1_u64 << 32) + (page << 13);
        request[8..16].copy_from_slice(&start.to_le_bytes());
        request[16..24].copy_from_slice(&(start + 0xfff).to_le_bytes());
        vmm.parse(&request, &mut reply);
        assert!(reply[0] == status::OK);
    }
    let beyond = number(MOST);
    assert_eq!(vmm.request(&beyond), status::NOMEM);
    assert!(vmm.why.contains("1048576"), "{}", vmm.why);
    // It is the limit of a domain: others, and this one after an UNMAP, have room.
    assert_eq!(vmm.request(&map(2, 0, 0xfff, 0x1000, 3)), status::OK);
    assert_eq!(vmm.request(&unmap(1, 1 << 32, (1 << 32) + 0xfff)), status::OK);
    assert_eq!(vmm.request(&beyond), status::OK);
}

#[test]
fn there_are_2_to_the_16_domains_and_no_more() {
    const MOST: u32 = 1 << 16;
    let mut vmm = Vmm::new();
    for endpoint in 0..=MOST {
        vmm.iommu.add_emulated(endpoint).unwrap();
    }
    for endpoint in 0..MOST {
        assert_eq!(vmm.request(&attach(endpoint, endpoint)), status::OK);
    }
    assert_eq!(vmm.request(&attach(MOST, MOST)), status::NOMEM);
    assert!(vmm.why.contains("65536"), "{}", vmm.why);
    assert_eq!(vmm.iommu.domain_of(MOST), None);
    assert_eq!(vmm.request(&attach(0, MOST)), status::OK);
}

#[test]
fn a_translation_is_of_all_bytes_that_were_asked_for() {
    let mut vmm = Vmm::new();
    vmm.iommu.add_emulated(1).unwrap();
    vmm.request(&attach(1, 1));
    vmm.request(&map(1, 0x1000, 0x1fff, 0x4000, 3));
    vmm.request(&map(1, 0x2000, 0x2fff, 0x5000, 3));
    vmm.request(&map(1, 0x3000, 0x3fff, 0x9000, 3));
    vmm.request(&map(1, 0x4000, 0x4fff, 0xa000, 1));
    vmm.request(&map(1, 0x6000, 0x6fff, 0xffff_ffff_ffff_f000, 3));
    vmm.request(&map(1, 0x7000, 0x7fff, 0, 3));
    vmm.request(&map(1, u64::MAX - 0xfff, u64::MAX, 0x1000, 3));
    let translate = |address, size| vmm.iommu.translate_gva(1, address, size).ok();
    assert_eq!(translate(0x1200, 0x100), Some(0x4200));
    // Two mappings of what is one piece of guest memory are one piece,
    assert_eq!(translate(0x1f00, 0x200), Some(0x4f00));
    assert_eq!(translate(0x1000, 0x2000), Some(0x4000));
    assert_eq!(translate(0x3ff0, 0x20), Some(0x9ff0));
    // but what lies elsewhere, or is not mapped, is not.
    assert_eq!(translate(0x1000, 0x2001), None);
    assert_eq!(translate(0x4ff0, 0x11), None);
    assert_eq!(translate(0x6ff0, 0x20), None);
    assert_eq!(translate(u64::MAX - 0xf, 0x10), Some(0x1ff0));
    assert_eq!(translate(u64::MAX - 0xf, 0x11), None);
    assert_eq!(translate(0x1000, 0), None);
    assert_eq!(translate(0x1000, u64::MAX), None);
    let back = |gpa, size| vmm.iommu.translate_gpa(1, gpa, size).ok();
    assert_eq!(back(0x4010, 0x10), Some(0x1010));
    assert_eq!(back(0x9fff, 1), Some(0x3fff));
    assert_eq!(back(0x20_0000, 1), None);
}

#[test]
fn n10_a_guest_can_end_the_bypass_of_what_is_not_attached() {
    let vmm = Vmm::new();
    vmm.iommu.add_emulated(1).unwrap();
    assert_eq!(vmm.iommu.translate_gva(1, 0x1234, 0x10), Ok(0x1234));
    vmm.iommu.set_bypass(0xfe).unwrap();
    assert!(vmm.iommu.translate_gva(1, 0x1234, 0x10).is_err());
    assert_eq!(vmm.iommu.config().unwrap()[36], 0);
    vmm.iommu.set_bypass(1).unwrap();
    assert_eq!(vmm.iommu.translate_gva(1, 0x1234, 0x10), Ok(0x1234));
    // As in cloud-hypervisor, only a driver that has accepted the field can write it.
    vmm.iommu.driver_features(FEATURES & !(1 << 6)).unwrap();
    vmm.iommu.set_bypass(0).unwrap_err();
    assert_eq!(vmm.iommu.translate_gva(1, 0x1234, 0x10), Ok(0x1234));
}

#[test]
fn a_driver_without_probe_is_refused_where_it_can_not_be_told() {
    let mut vmm = Vmm::new();
    vmm.add(8, "_vfio1");
    let accepted = FEATURES | 1 << 32;
    vmm.iommu.driver_features(accepted).unwrap();
    let refused = vmm.iommu.driver_features(1 << 32 | 1 << 2).unwrap_err();
    assert!(refused.to_string().contains("_vfio1"), "{}", refused);
}

#[test]
fn hostile_requests_never_hurt() {
    let mut vmm = Vmm::new();
    vmm.add(8, "_vfio1");
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for _ in 0..20_000 {
        let mut readable = vec![0; (next() % 80) as usize];
        readable.iter_mut().for_each(|byte| *byte = (next() >> 32) as u8 & 7);
        let mut writable = vec![0xaa; (next() % 600) as usize];
        let used = vmm.parse(&readable, &mut writable);
        assert!(used <= writable.len());
    }
}

#[test]
fn queue_threads_translate_while_the_host_maps() {
    /// A host that is slow, and sees that translation goes on beside it.
    struct Slow<'a>(&'a External, &'a Books);
    impl Hosts for Slow<'_> {
        fn map(&self, endpoint: u32, iova: u64, gpa: u64, size: u64) -> io::Result<()> {
            std::thread::scope(|scope| {
                let queue = scope.spawn(|| self.1.translate_gva(8, 0x1010, 8));
                assert_eq!(queue.join().unwrap(), Ok(0x5010));
            });
            self.0.map(endpoint, iova, gpa, size)
        }
        fn unmap(&self, endpoint: u32, iova: u64, size: u64) -> io::Result<()> {
            self.0.unmap(endpoint, iova, size)
        }
    }
    let mut vmm = Vmm::new();
    vmm.add(8, "_vfio1");
    vmm.request(&attach(1, 8));
    assert_eq!(vmm.request(&map(1, 0x1000, 0x1fff, 0x5000, 3)), status::OK);
    let mut reply = [0; TAIL_SIZE];
    let slow = Slow(&vmm.external, &vmm.iommu);
    assert_eq!(
        vmm.iommu.parse(&map(1, 0x2000, 0x2fff, 0x6000, 3), &mut reply, &slow).refused,
        None
    );
    assert_eq!(vmm.iommu.translate_gva(8, 0x1ff0, 0x20), Ok(0x5ff0));
}

#[test]
fn no_lock_is_held_while_a_host_is_called() {
    /// A host that waits for another thread to write the books, as one may that takes a lock.
    struct Waits(Arc<Books>, Mutex<usize>);
    impl Waits {
        fn wait(&self) -> io::Result<()> {
            let (books, (done, wait)) = (self.0.clone(), std::sync::mpsc::channel());
            std::thread::spawn(move || {
                books.set_bypass(1).unwrap();
                done.send(())
            });
            wait.recv_timeout(std::time::Duration::from_secs(20)).unwrap();
            *self.1.lock().unwrap() += 1;
            Ok(())
        }
    }
    impl Hosts for Waits {
        fn map(&self, _: u32, _: u64, _: u64, _: u64) -> io::Result<()> {
            self.wait()
        }
        fn unmap(&self, _: u32, _: u64, _: u64) -> io::Result<()> {
            self.wait()
        }
    }
    let books = Arc::new(Books::new(MSI_IOVA_SPACE, 64, None).unwrap());
    books.admit(8, &captured("_vfio1")).unwrap();
    books.admit(16, &captured("_vfio2")).unwrap();
    let hosts = Waits(books.clone(), Mutex::new(0));
    let mut tail = [0; TAIL_SIZE];
    let requests = [
        (attach(1, 8), 0),
        (map(1, 0x1000, 0x1fff, 0x5000, 3), 1),
        (map(1, 0x3000, 0x3fff, 0x6000, 3), 1),
        (attach(1, 16), 2),
        (detach(1, 16), 2),
        (attach(2, 8), 2),
        (attach(1, 8), 0),
        (map(1, 0x1000, 0x1fff, 0x5000, 3), 1),
        (unmap(1, 0, u64::MAX), 1),
        (map(1, 0x1000, 0x1fff, 0x5000, 3), 1),
    ];
    for (request, calls) in &requests {
        *hosts.1.lock().unwrap() = 0;
        assert_eq!(books.parse(request, &mut tail, &hosts).refused, None);
        assert_eq!(*hosts.1.lock().unwrap(), *calls);
    }
    books.reset(&hosts).unwrap();
    assert_eq!(*hosts.1.lock().unwrap(), 2);
}

#[test]
fn a_host_that_lies_about_its_capabilities_is_refused_with_a_sentence() {
    let mut info = fixture("intel-39bit/vfio_iommu_get_info.bin");
    let mut host = Geometry::new("_vfio1").unwrap();
    assert!(host.add_vfio_info(&info[..40]).is_err());
    info[76..80].copy_from_slice(&72_u32.to_le_bytes());
    let refused = host.add_vfio_info(&info).unwrap_err();
    assert!(!refused.to_string().is_empty());
}
