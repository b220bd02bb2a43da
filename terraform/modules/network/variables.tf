variable "gcp_project" {
  type        = string
  description = "The ID of the Google Cloud project that holds the network. Use the same project in every module."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.gcp_project))
    error_message = "gcp_project must be a project ID such as my-project, with 6 to 30 lower-case letters, digits and hyphens."
  }
}

variable "region" {
  type        = string
  description = "The region of the subnetwork, such as europe-west1. It must be the cluster's region."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be a region such as europe-west1, not a zone or a multi-region."
  }
}

variable "name" {
  type        = string
  description = "The name of the network, and the prefix of the names of its resources."
  default     = "refeed"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([-a-z0-9]{0,30}[a-z0-9])?$", var.name))
    error_message = "name must consist of at most 32 lower-case letters, digits and hyphens, and start with a letter."
  }
}

variable "ranges" {
  type = object({
    nodes    = optional(string, "10.0.0.0/22")
    pods     = optional(string, "10.4.0.0/16")
    services = optional(string, "10.8.0.0/20")
  })
  description = <<-EOT
    The CIDR ranges of nodes, pods and services. They must not overlap each other or a network that is peered with
    this one. Each node uses one address of `nodes` and, with at most 32 pods, a /26 of `pods`: a /16 is enough
    for 1,024 nodes, so `nodes` need not be larger than a /22. The ranges cannot be reduced later.
  EOT
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for range in values(var.ranges) : can(cidrhost(range, 0)) && can(regex("^[0-9.]+/[0-9]+$", range))])
    error_message = "Each of ranges must be an IPv4 CIDR range such as 10.0.0.0/22."
  }

  validation {
    condition = alltrue([
      for range in values(var.ranges) : try(cidrhost(range, 0) == split("/", range)[0], true)
    ])
    error_message = "Each of ranges must start at its first address: 10.0.0.0/22, not 10.0.1.5/22."
  }

  validation {
    condition = !anytrue([
      for pair in [["nodes", "pods"], ["nodes", "services"], ["pods", "services"]] : try(
        length(distinct([
          for range in pair :
          cidrhost("${split("/", var.ranges[range])[0]}/${min([for each in pair : tonumber(split("/", var.ranges[each])[1])]...)}", 0)
        ])) == 1, false
      )
    ])
    error_message = "Two of ranges overlap. Choose ranges without common addresses."
  }

  validation {
    condition     = try(tonumber(split("/", var.ranges.pods)[1]) <= 21, true)
    error_message = "ranges.pods must be a /21 or larger: each node uses a /26, so a smaller range limits the cluster to a few nodes."
  }
}

variable "internet" {
  type        = bool
  description = <<-EOT
    Whether nodes without the closed tag (the platform pool) can reach the Internet through Cloud NAT. Google APIs
    and images in Artifact Registry do not need it. Argo CD needs it to read an external Git server. An external
    webhook needs it too; a step calls the webhook, so see `closed_tag`.
  EOT
  default     = false
  nullable    = false
}

variable "closed_tag" {
  type        = string
  description = <<-EOT
    The network tag of closed nodes, which can reach only Google APIs and this network, regardless of `internet`.
    Node pools of resource classes have it, so that a trainer cannot exfiltrate data.
  EOT
  default     = "refeed-closed"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$", var.closed_tag))
    error_message = "closed_tag must be a network tag: lower-case letters, digits and hyphens, starting with a letter."
  }
}

variable "google_names" {
  type        = set(string)
  description = <<-EOT
    The Google domains that the network resolves to private.googleapis.com (199.36.153.8/30), the only external
    addresses that closed nodes can reach.
  EOT
  default     = ["googleapis.com", "pkg.dev", "gcr.io"]
  nullable    = false

  validation {
    condition     = contains(var.google_names, "googleapis.com")
    error_message = "google_names must contain googleapis.com: without it, closed nodes cannot reach Google APIs."
  }
}

variable "flow_log_sampling" {
  type        = number
  description = "The share of connections that flow logs record, from 0 to 1. 0 turns flow logs off. Logs are billed by volume."
  default     = 0.1
  nullable    = false

  validation {
    condition     = var.flow_log_sampling >= 0 && var.flow_log_sampling <= 1
    error_message = "flow_log_sampling must be from 0 to 1."
  }
}
