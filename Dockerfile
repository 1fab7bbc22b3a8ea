# Never built where it was written, where there was no Docker: if a line fails, please open an issue.
#
# docker build -t swssl_nb .
# docker run --rm --network none --user "$(id -u)" -v "$PWD:/images" swssl_nb score --run runs/chest new_images --csv scores.csv
FROM python:3.11-slim

# OpenMP, should one of the packages not bring its own
RUN apt-get update \
 && apt-get install -y --no-install-recommends libgomp1 \
 && rm -rf /var/lib/apt/lists/*

# The CPU build of torch: the usual one brings several GB for a GPU
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN pip install torch torchvision --index-url https://download.pytorch.org/whl/cpu

COPY . /source
RUN pip install "/source[fast]" && rm -rf /source

# A user without rights; /cache is for all, so that --user "$(id -u)" works, too, and is the home of all other caches.
# The image cache holds decoded images of patients: it goes with the container
RUN useradd --uid 1000 reader && mkdir /images && mkdir -m 1777 /cache && chown reader /images
USER reader
ENV HOME=/cache USER=reader SWSSL_NB_CACHE=/cache/images MPLCONFIGDIR=/cache/matplotlib OMP_WAIT_POLICY=passive
WORKDIR /images
ENTRYPOINT ["swssl_nb"]
CMD ["--help"]
