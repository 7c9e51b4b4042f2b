// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kernels that are another one but for bpf(): what their [`Sys`](bpf_preload_umd::sys::Sys)
//! passes on as it is.

/// All of a `Sys` but its bpf(), passed on to the one in this field.
macro_rules! pass_on_but_bpf {
    ($sys:ident: $of:ident) => {
        type Mapping = $of::Mapping;
        type Buffer = $of::Buffer;

        fn open(&self, path: &core::ffi::CStr) -> Result<i32, Errno> {
            self.$sys.open(path)
        }

        fn size(&self, fd: i32) -> Result<usize, Errno> {
            self.$sys.size(fd)
        }

        fn read(&self, fd: i32, buf: &mut [u8]) -> Result<usize, Errno> {
            self.$sys.read(fd, buf)
        }

        fn pread(&self, fd: i32, buf: &mut [u8], offset: usize) -> Result<usize, Errno> {
            self.$sys.pread(fd, buf, offset)
        }

        fn write(&self, fd: i32, buf: &[u8]) -> Result<usize, Errno> {
            self.$sys.write(fd, buf)
        }

        fn close(&self, fd: i32) {
            self.$sys.close(fd);
        }

        fn map_file(&self, fd: i32, len: usize) -> Result<Self::Mapping, Errno> {
            self.$sys.map_file(fd, len)
        }

        fn map_anonymous(&self, len: usize) -> Result<Self::Buffer, Errno> {
            self.$sys.map_anonymous(len)
        }

        fn raise_memlock(&self) -> Result<(), Errno> {
            self.$sys.raise_memlock()
        }

        fn block_sigpipe(&self) -> Result<(), Errno> {
            self.$sys.block_sigpipe()
        }
    };
}
pub(crate) use pass_on_but_bpf;
