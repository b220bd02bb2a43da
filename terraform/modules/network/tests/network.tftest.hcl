mock_provider "google" {}

variables {
  gcp_project = "my-project"
  region      = "europe-west1"
}

run "defaults" {
  command = plan

  assert {
    condition     = !google_compute_network.this.auto_create_subnetworks
    error_message = "Subnetworks must not be created automatically."
  }
  assert {
    condition     = google_compute_subnetwork.nodes.private_ip_google_access
    error_message = "Nodes without public addresses must reach Google APIs."
  }
  assert {
    condition = [for each in google_compute_subnetwork.nodes.secondary_ip_range : each.ip_cidr_range] == [
      "10.4.0.0/16", "10.8.0.0/20"
    ]
    error_message = "Pods and services must have the default ranges."
  }
  assert {
    condition     = google_compute_subnetwork.nodes.log_config[0].flow_sampling == 0.1
    error_message = "Flow logs must be on."
  }
  assert {
    condition     = length(google_compute_router.this) == 0 && length(google_compute_router_nat.this) == 0
    error_message = "There must be no path to the Internet."
  }
  assert {
    condition = (
      google_compute_firewall.closed.direction == "EGRESS"
      && one(google_compute_firewall.closed.deny).protocol == "all"
      && google_compute_firewall.closed.target_tags == toset(["refeed-closed"])
      && google_compute_firewall.closed.priority > google_compute_firewall.closed_to_google.priority
      && google_compute_firewall.closed.priority > google_compute_firewall.closed_to_cluster.priority
    )
    error_message = "Closed nodes must be denied all egress that no other rule allows."
  }
  assert {
    condition     = google_compute_firewall.closed_to_google.destination_ranges == toset(["199.36.153.8/30"])
    error_message = "Closed nodes must reach private.googleapis.com."
  }
  assert {
    condition = alltrue([
      for zone in google_dns_managed_zone.google : zone.visibility == "private"
    ]) && google_dns_record_set.names["pkg.dev"].rrdatas == tolist(["pkg.dev."])
    error_message = "Image hosts must resolve to private addresses."
  }
  assert {
    condition = (
      google_dns_record_set.addresses["googleapis.com"].name == "private.googleapis.com."
      && google_dns_record_set.names["googleapis.com"].rrdatas == tolist(["private.googleapis.com."])
      && length(google_dns_record_set.addresses["googleapis.com"].rrdatas) == 4
    )
    error_message = "API hosts must resolve to private addresses."
  }
}

run "internet" {
  command = plan
  variables { internet = true }

  assert {
    condition     = google_compute_router_nat.this[0].source_subnetwork_ip_ranges_to_nat == "LIST_OF_SUBNETWORKS"
    error_message = "Only the nodes' subnetwork may use NAT."
  }
  assert {
    condition     = one(google_compute_firewall.closed.deny).protocol == "all"
    error_message = "Closed nodes must stay closed."
  }
}

run "no_flow_logs" {
  command = plan
  variables { flow_log_sampling = 0 }

  assert {
    condition     = length(google_compute_subnetwork.nodes.log_config) == 0
    error_message = "Flow logs must be off."
  }
}

run "rejects_zone" {
  command = plan
  variables { region = "europe-west1-b" }
  expect_failures = [var.region]
}

run "rejects_project_number" {
  command = plan
  variables { gcp_project = "123456789" }
  expect_failures = [var.gcp_project]
}

run "rejects_address_without_prefix" {
  command = plan
  variables { ranges = { nodes = "10.0.0.0" } }
  expect_failures = [var.ranges]
}

run "rejects_range_with_host_bits" {
  command = plan
  variables { ranges = { nodes = "10.0.1.5/22" } }
  expect_failures = [var.ranges]
}

run "rejects_overlapping_ranges" {
  command = plan
  variables { ranges = { nodes = "10.4.8.0/22" } }
  expect_failures = [var.ranges]
}

run "rejects_small_pod_range" {
  command = plan
  variables { ranges = { pods = "10.4.0.0/24" } }
  expect_failures = [var.ranges]
}

run "rejects_names_without_googleapis" {
  command = plan
  variables { google_names = ["pkg.dev"] }
  expect_failures = [var.google_names]
}

run "rejects_sampling_in_percent" {
  command = plan
  variables { flow_log_sampling = 10 }
  expect_failures = [var.flow_log_sampling]
}

run "rejects_upper_case_tag" {
  command = plan
  variables { closed_tag = "Closed" }
  expect_failures = [var.closed_tag]
}

run "rejects_upper_case_name" {
  command = plan
  variables { name = "Refeed" }
  expect_failures = [var.name]
}
