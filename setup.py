"""Builds the compiled modules; everything else about the package is in pyproject.toml.

(a) Every fastnn/_core/*.pyx is an extension. The C core, src_c/**/*.c, is compiled only into
    fastnn._core.kernels; the others reach it by cimport.
(b) One binary for every CPU: no -march, no fast-math. The x86 units switch target themselves.
(c) OpenMP is probed. Without it the package is complete, on one thread.
(d) A wheel is built in a temporary folder: `pip install .` leaves nothing in the checkout, and several may run at once.
    `python setup.py build_ext --inplace` keeps its objects in build/ and compiles what has changed.
(e) Variables of the environment: FASTNN_OPENMP=0 builds without OpenMP; FASTNN_EMULATE_AVX512=1
    runs the AVX-512 unit on AVX2 (tests only); FASTNN_SANITIZE=address,undefined or =thread
    builds with those sanitizers.
"""

import atexit
import os
import shutil
import sysconfig
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build import build
from setuptools.command.build_ext import build_ext
from setuptools.command.egg_info import egg_info
from setuptools.errors import BaseError

HERE = Path(__file__).parent
X86 = any(name in sysconfig.get_platform() for name in ("x86_64", "amd64"))
X86_UNITS = {"unit_avx2.c", "unit_avx512.c"}
EMULATE_AVX512 = os.environ.get("FASTNN_EMULATE_AVX512", "0") not in ("", "0")
SANITIZE = os.environ.get("FASTNN_SANITIZE", "")
OPENMP = os.environ.get("FASTNN_OPENMP", "1") not in ("", "0")
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

# -ffp-contract=off: a*b+c is fused where the kernels say so and nowhere else, else the compiler
# would decide the bits. The other two only drop side effects (errno, traps) nothing here looks at.
FLAGS = ["-std=gnu11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]
FLAGS += ["-fvisibility=hidden", "-Wno-psabi"]
LINK_FLAGS = []
if SANITIZE:
    LINK_FLAGS += [f"-fsanitize={SANITIZE}"]
    FLAGS += LINK_FLAGS + ["-g", "-O1", "-fno-omit-frame-pointer", "-fno-sanitize-recover=all"]
    FLAGS += ["-fno-wrapv"]  # Python's own flags define signed overflow and so hide it from UBSan
else:
    FLAGS += ["-g0"]  # Python's own flags ask for debug information: most of a wheel's size

MACROS = [("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")]
if X86:
    MACROS += [("FNN_X86", "1")]
if EMULATE_AVX512:
    MACROS += [("FNN_EMULATE_AVX512", "1")]

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
    "freethreading_compatible": True,
}

OPENMP_PROGRAM = """
#include <omp.h>
int main(void) {
    int n = 0;
    #pragma omp parallel reduction(+ : n)
    n += omp_get_num_threads() > 0;
    return n == 0;
}
"""


def find_extensions():
    headers = [str(p.relative_to(HERE)) for p in sorted((HERE / "src_c").rglob("*.h"))]
    core = sorted(p.relative_to(HERE) for p in (HERE / "src_c").rglob("*.c"))
    # The units take minutes and the rest a second: they are started first.
    core.sort(key=lambda p: p.parent.name != "isa")
    core = [str(p) for p in core if X86 or p.name not in X86_UNITS]
    extensions = []
    for path in sorted((HERE / "fastnn" / "_core").glob("*.pyx")):
        extension = Extension(
            f"fastnn._core.{path.stem}",
            [str(path.relative_to(HERE))] + (core if path.stem == "kernels" else []),
            include_dirs=["src_c", numpy.get_include()],
            define_macros=MACROS,
            extra_compile_args=list(FLAGS),
            extra_link_args=list(LINK_FLAGS),
            libraries=["m"],
            depends=headers + ["setup.py"],
        )
        extensions.append(extension)
    return sorted(extensions, key=lambda e: e.name.rpartition(".")[2] not in ("kernels", "executor"))  # the long ones


@cache
def temporary_folder():
    """One of this process, gone at its end."""
    folder = tempfile.mkdtemp(prefix="fastnn-build-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


class Build(build):
    """Wheels, also those of editable installs, are built elsewhere."""

    def finalize_options(self):
        if self.build_base == "build" and {"bdist_wheel", "editable_wheel"} & {*self.distribution.commands}:
            self.build_base = temporary_folder()
        super().finalize_options()


class EggInfo(egg_info):
    """The folder of metadata is made elsewhere; in the checkout, for as long as it takes, where an sdist has it."""

    def finalize_options(self):
        if self.egg_base is None:
            if "sdist" not in self.distribution.commands:
                self.egg_base = temporary_folder()
            elif not list(HERE.glob("*.egg-info")):
                atexit.register(lambda: [shutil.rmtree(p, ignore_errors=True) for p in HERE.glob("*.egg-info")])
        super().finalize_options()


class BuildExt(build_ext):
    """Adds parallel translation and compilation of all files, the OpenMP probe and a stamp of the flags."""

    def finalize_options(self):
        super().finalize_options()
        self.jobs = int(self.parallel or CORES)
        self.parallel = len(self.extensions)  # they wait for their files, which `jobs` of compile_in_parallel limits

    def run(self):
        folder = Path(self.get_finalized_command("build").build_base) / "cython"
        translated = cythonize(
            self.extensions,
            build_dir=str(folder),
            compiler_directives=DIRECTIVES,
            nthreads=self.jobs if self.jobs > 1 else 0,
            show_all_warnings=False,
        )
        translated = {e.name: e for e in translated}
        for extension in self.extensions:
            extension.sources = translated[extension.name].sources
            extension.depends = translated[extension.name].depends
        super().run()

    def build_extensions(self):
        if self.compiler.compiler_type == "msvc":
            raise BaseError(
                "fastnn's C needs gcc or clang (GNU vector extensions); MSVC cannot build it"
            )
        openmp = OPENMP and self.probe_openmp()
        for extension in self.extensions:
            if openmp:
                extension.extra_compile_args.append("-fopenmp")
                extension.extra_link_args.append("-fopenmp")
        self.force = self.force or self.flags_changed()
        with ThreadPoolExecutor(self.jobs) as pool:
            self.compile_in_parallel(pool)
            super().build_extensions()

    def probe_openmp(self):
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "probe.c"
            source.write_text(OPENMP_PROGRAM)
            try:
                objects = self.compiler.compile(
                    [str(source)], output_dir=folder, extra_postargs=["-fopenmp"]
                )
                self.compiler.link_executable(
                    objects, str(Path(folder) / "probe"), extra_postargs=["-fopenmp"]
                )
                return True
            except Exception as error:  # whatever a compiler says, the answer is no
                compiler = " ".join(getattr(self.compiler, "compiler", [])[:1]) or "the compiler"
                warnings.warn(
                    f"fastnn is built WITHOUT OpenMP and will use one thread: {compiler} cannot "
                    f"compile and link a program with -fopenmp ({type(error).__name__}; its own "
                    "words are above). With clang, install its OpenMP library (Debian: libomp-dev).",
                    stacklevel=1,
                )
                return False

    def flags_changed(self):
        """Objects are reused by time stamp; a changed compiler or flag must not reuse them."""
        now = repr(
            [
                (e.name, e.extra_compile_args, e.extra_link_args, e.define_macros)
                for e in self.extensions
            ]
            + [getattr(self.compiler, "compiler_so", None)]
        )
        stamp = Path(self.build_temp) / "fastnn-flags"
        before = stamp.read_text() if stamp.exists() else None
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.write_text(now)
        return before != now

    def compile_in_parallel(self, pool):
        compile_one = self.compiler.compile
        headers = max(p.stat().st_mtime for p in (HERE / "src_c").rglob("*.h"))

        def compile_all(sources, *args, **kwargs):
            def compile_if_older(source):
                [name] = self.compiler.object_filenames([source], output_dir=kwargs["output_dir"])
                # A unit takes half a minute, and does not change with the Cython file beside it.
                if source.startswith("src_c") and not self.force and Path(name).exists():
                    if Path(name).stat().st_mtime > max(headers, Path(source).stat().st_mtime):
                        return [name]
                return compile_one([source], *args, **kwargs)

            return [name for names in pool.map(compile_if_older, sources) for name in names]

        self.compiler.compile = compile_all


if __name__ == "__main__":  # Cython's processes may import this file
    commands = {"build": Build, "build_ext": BuildExt, "egg_info": EggInfo}
    setup(ext_modules=find_extensions(), cmdclass=commands)
