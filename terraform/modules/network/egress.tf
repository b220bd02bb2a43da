# What leaves. Google's rule at the end lets everything out, so closed nodes have a rule before it.

resource "google_compute_firewall" "closed" {
  project            = var.gcp_project
  name               = "${var.name}-closed"
  description        = "Nothing leaves closed nodes but what a rule of a smaller number lets out."
  network            = google_compute_network.this.id
  direction          = "EGRESS"
  priority           = 2000
  destination_ranges = ["0.0.0.0/0"]
  target_tags        = [var.closed_tag]

  deny {
    protocol = "all"
  }

  log_config { # a trainer that tries to reach outside is worth a look
    metadata = "INCLUDE_ALL_METADATA"
  }
}

resource "google_compute_firewall" "closed_to_google" {
  project            = var.gcp_project
  name               = "${var.name}-closed-to-google"
  description        = "Google's APIs, by the addresses that this network resolves their names to."
  network            = google_compute_network.this.id
  direction          = "EGRESS"
  priority           = 1000
  destination_ranges = [local.google_range]
  target_tags        = [var.closed_tag]

  allow {
    protocol = "tcp"
    ports    = ["443"]
  }
}

resource "google_compute_firewall" "closed_to_cluster" {
  project            = var.gcp_project
  name               = "${var.name}-closed-to-cluster"
  description        = "Nodes, pods, services and the control plane, whose address is one of the nodes' range."
  network            = google_compute_network.this.id
  direction          = "EGRESS"
  priority           = 1000
  destination_ranges = [var.ranges.nodes, var.ranges.pods, var.ranges.services]
  target_tags        = [var.closed_tag]

  allow {
    protocol = "all"
  }
}

resource "google_compute_router" "this" {
  count = var.internet ? 1 : 0

  project = var.gcp_project
  region  = var.region
  name    = var.name
  network = google_compute_network.this.id
}

resource "google_compute_router_nat" "this" {
  count = var.internet ? 1 : 0

  project                            = var.gcp_project
  region                             = var.region
  name                               = var.name
  router                             = google_compute_router.this[0].name
  nat_ip_allocate_option             = "AUTO_ONLY"
  source_subnetwork_ip_ranges_to_nat = "LIST_OF_SUBNETWORKS" # Dataflow's workers stay inside

  subnetwork {
    name                    = google_compute_subnetwork.nodes.id
    source_ip_ranges_to_nat = ["ALL_IP_RANGES"]
  }

  log_config {
    enable = true
    filter = "ERRORS_ONLY"
  }
}
