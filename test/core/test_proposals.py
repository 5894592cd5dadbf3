"""Heat map proposals: peaks become queries, where they are and with what they are."""

import torch
from network_helpers import small_config, small_inputs, small_network

from aln_p3_core.driver.proposals import HeatmapProposals


@torch.no_grad()
def test_peaks_become_the_first_reference_points():
    config = small_config()
    rows, columns = config.bev.rows, config.bev.columns
    proposals = HeatmapProposals(config)
    # A network that hands its input on: the first features of a cell are its class logits.
    proposals.hidden.weight.zero_()
    proposals.hidden.bias.zero_()
    width = config.embed_dims
    proposals.hidden.weight[torch.arange(width), torch.arange(width), 1, 1] = 1.0
    proposals.heat[0].weight.copy_(torch.eye(len(config.agents.classes), width))
    bev = torch.zeros(2, rows, columns, width)
    bev[0, 11, 3, 8] = 9.0
    bev[0, 12, 3, 8] = 8.0  # beside the peak: no peak of its own
    bev[0, 2, 7, 0] = 7.0
    bev[1, 15, 0, 5] = 9.0
    found = proposals(bev)
    x = found.reference_BQ3[0, :2, 0] * columns
    y = found.reference_BQ3[0, :2, 1] * rows
    assert x.tolist() == [3.5, 7.5]
    assert y.tolist() == [11.5, 2.5]
    expected = proposals.content(bev[0, 11, 3]) + proposals.classes[8]
    torch.testing.assert_close(found.content_BQD[0, 0], expected)
    assert (found.reference_BQ3[1, 0] * torch.tensor([columns, rows, 1.0])).tolist() == [0.5, 15.5, 0.5]
    places = found.reference_BQ3[0] * torch.tensor([columns, rows, 1.0])
    assert not ((places[2:, 0] == 3.5) & (places[2:, 1] == 12.5)).any()


@torch.no_grad()
def test_heat_map_is_an_output_of_training_only():
    network = small_network(small_config())
    inputs = small_inputs(network.config, batch=2)
    assert network(inputs).agent_heatmap_BCRS is None
    heat = network.train()(inputs).agent_heatmap_BCRS
    assert heat is not None
    assert heat.shape == (2, len(network.config.agents.classes), network.config.bev.rows, network.config.bev.columns)
    assert small_network(small_config(agents__query_source="learned")).train()(inputs).agent_heatmap_BCRS is None
